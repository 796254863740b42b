import pytest
import torch

from deployments.memory import is_out_of_memory


def test_torch_out_of_memory_error() -> None:
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB."))


def test_the_error_that_torch_raises_when_the_host_cannot_allocate() -> None:
    with pytest.raises(RuntimeError) as raised:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(raised.value)


def test_python_memory_error() -> None:
    assert is_out_of_memory(MemoryError())


@pytest.mark.parametrize(
    "error", [RuntimeError("shape mismatch"), ValueError("can't allocate memory"), KeyError()]
)
def test_other_failures_are_not(error: Exception) -> None:
    assert not is_out_of_memory(error)

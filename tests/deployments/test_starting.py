import traceback

import pytest
import torch

from deployments.starting import CannotStart, brief_reason, cannot_start


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("the weights take 19 GiB:\n  raise num_gpus"), "the weights take 19 GiB: raise num_gpus"),
        (OSError("no route to the hub"), "OSError: no route to the hub"),
    ],
)
def test_it_is_one_line(error: Exception, reason: str) -> None:
    assert str(cannot_start(error)) == reason


def test_memory_that_something_else_holds() -> None:
    error = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")
    said = str(cannot_start(error))
    assert "something beside it holds more than its share" in said
    assert "Tried to allocate 20.00 GiB" in said


def test_the_line_is_found_in_a_traceback_within_a_traceback() -> None:
    """As Ray Serve builds the message of a deployment."""
    try:
        try:
            raise cannot_start(ValueError("no weights"))
        except CannotStart:
            raise RuntimeError(traceback.format_exc()) from None
    except RuntimeError:
        message = f"The deployment failed to start 3 times in a row. Error:\n{traceback.format_exc()}\n"
    assert brief_reason(message) == "no weights"


@pytest.mark.parametrize("message", ["", "Deployment has 1 replica that cannot be scheduled"])
def test_other_messages_stay_as_they_are(message: str) -> None:
    assert brief_reason(message) == message

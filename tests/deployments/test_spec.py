import pytest
from pydantic import ValidationError

from deployments.fakes import EchoSpec


@pytest.mark.parametrize("num_gpus", [0, 0.25, 1, 2])
def test_a_share_of_a_gpu_or_whole_ones(num_gpus: float) -> None:
    assert EchoSpec(kind="echo", num_gpus=num_gpus).num_gpus == num_gpus


@pytest.mark.parametrize("fields", [{"num_gpus": 1.5}, {"num_gpu": 1}, {"max_ongoing_requests": 0}])
def test_what_no_replica_can_have(fields: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        EchoSpec.model_validate({"kind": "echo", **fields})

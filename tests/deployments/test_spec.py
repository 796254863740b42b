import pytest
from pydantic import ValidationError

from deployments.fakes import EchoSpec
from deployments.spec import Autoscaling


@pytest.mark.parametrize("num_gpus", [0, 0.25, 1, 2])
def test_a_share_of_a_gpu_or_whole_ones(num_gpus: float) -> None:
    assert EchoSpec(kind="echo", num_gpus=num_gpus).num_gpus == num_gpus


@pytest.mark.parametrize("fields", [{"num_gpus": 1.5}, {"num_gpu": 1}, {"max_ongoing_requests": 0}])
def test_what_no_replica_can_have(fields: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        EchoSpec.model_validate({"kind": "echo", **fields})


@pytest.mark.parametrize("initial", [0, 4])
def test_a_start_outside_of_the_range_is_named_before_ray_sees_it(initial: int) -> None:
    with pytest.raises(ValidationError, match=f"initial_replicas {initial} is not between min_replicas 1"):
        Autoscaling(min_replicas=1, max_replicas=3, initial_replicas=initial)


def test_a_model_may_start_with_any_count_of_its_range() -> None:
    counts = [
        Autoscaling(min_replicas=0, max_replicas=2, initial_replicas=n).initial_replicas for n in range(3)
    ]
    assert counts == [0, 1, 2]

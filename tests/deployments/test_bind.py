import pytest

from deployments.bind import actor_options, bind_model, scaling_options
from deployments.fakes import EchoSpec
from deployments.spec import Autoscaling, WorkScaling
from deployments.telemetry import ProcessTelemetry


def test_resources_are_those_of_the_spec() -> None:
    spec = EchoSpec(kind="echo", num_gpus=0.25, num_cpus=2, memory_bytes=1 << 30, accelerator_type="A100")
    assert actor_options(spec) == {
        "num_cpus": 2,
        "num_gpus": 0.25,
        "memory": 1 << 30,
        "accelerator_type": "A100",
    }


def test_a_range_scales_and_a_single_count_does_not() -> None:
    assert scaling_options(Autoscaling(min_replicas=2, max_replicas=2)) == {"num_replicas": 2}
    config = scaling_options(Autoscaling(min_replicas=0, max_replicas=3, target_ongoing_requests=1.5))
    assert config["autoscaling_config"].max_replicas == 3
    assert config["autoscaling_config"].target_ongoing_requests == 1.5


def test_scaling_by_work_is_a_policy_with_its_parameters() -> None:
    config = scaling_options(Autoscaling(max_replicas=3), WorkScaling(target_work_s=2.5, warm_spares=1))
    policy = config["autoscaling_config"].policy
    assert policy.policy_function == "deployments.autoscaling:WorkAutoscalingPolicy"
    assert policy.policy_kwargs["target_work_s"] == 2.5
    assert policy.policy_kwargs["warm_spares"] == 1
    spec = EchoSpec(kind="echo", autoscaling={"max_replicas": 3}, work_scaling={"lead_s": 23})
    deployment = bind_model("m", spec, ProcessTelemetry())._bound_deployment
    bound = deployment._deployment_config.autoscaling_config.policy
    assert bound.policy_kwargs["lead_s"] == 23


def test_limits_and_timeouts_reach_the_deployment() -> None:
    spec = EchoSpec(
        kind="echo", max_ongoing_requests=3, max_queued_requests=7, graceful_shutdown_timeout_s=90
    )
    deployment = bind_model("m", spec, ProcessTelemetry())._bound_deployment
    assert deployment.name == "m"
    assert deployment.max_ongoing_requests == 3
    assert deployment.max_queued_requests == -1, "the router's gate holds the queue"
    assert deployment._deployment_config.graceful_shutdown_timeout_s == 90


def test_more_at_least_than_at_most_is_refused() -> None:
    with pytest.raises(ValueError, match="min_replicas 3 is greater than max_replicas 1"):
        Autoscaling(min_replicas=3, max_replicas=1)

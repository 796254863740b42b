"""A model's spec becomes a bound Ray Serve deployment."""

from typing import Any

from ray import serve as ray_serve
from ray.serve.config import RequestRouterConfig
from ray.serve.schema import LoggingConfig

from deployments.autoscaling import autoscaling_config
from deployments.catalog import ModelSpec
from deployments.replica import ModelReplica
from deployments.spec import Autoscaling, BaseSpec, WorkScaling
from deployments.telemetry import ProcessTelemetry

QUIET = LoggingConfig(log_level="WARNING", enable_access_log=False)

# Ray's default backoff (25-500 ms) leaves a replica idle between requests for a quarter of the time at
# max_ongoing_requests=1; these keep it busy and cost little polling.
EAGER_ROUTING = RequestRouterConfig(initial_backoff_s=0.005, max_backoff_s=0.02)


def bind_model(name: str, spec: ModelSpec, process: ProcessTelemetry) -> ray_serve.Application:
    """The deployment `name`, which hosts what `spec` says."""
    deployment = ray_serve.deployment(
        name=name,
        ray_actor_options=actor_options(spec),
        max_ongoing_requests=spec.max_ongoing_requests,
        # The router's gate holds the queue, of `max_queued_requests`, and shares it between tenants.
        max_queued_requests=-1,
        health_check_period_s=spec.health_check_period_s,
        health_check_timeout_s=spec.health_check_timeout_s,
        graceful_shutdown_timeout_s=spec.graceful_shutdown_timeout_s,
        request_router_config=EAGER_ROUTING,
        logging_config=QUIET,
        **scaling_options(spec.autoscaling, spec.work_scaling),
    )(ModelReplica)
    return deployment.bind(name, spec, process)


def actor_options(spec: BaseSpec) -> dict[str, Any]:
    options: dict[str, Any] = {"num_cpus": spec.num_cpus, "num_gpus": spec.num_gpus}
    if spec.memory_bytes:
        options["memory"] = spec.memory_bytes
    if spec.accelerator_type:
        options["accelerator_type"] = spec.accelerator_type
    return options


def scaling_options(autoscaling: Autoscaling, work_scaling: WorkScaling | None = None) -> dict[str, Any]:
    """A fixed count where nothing can scale, so that the autoscaler has nothing to compute."""
    if autoscaling.min_replicas == autoscaling.max_replicas:
        return {"num_replicas": autoscaling.min_replicas}
    return {"autoscaling_config": autoscaling_config(autoscaling, work_scaling)}

"""build_app: from a config to a Ray Serve application. The only place where deployments are joined.

Annotations here are evaluated: with postponed ones Ray hands the builder a raw dict and accepts typos.
"""

from ray import serve as ray_serve

from deployments.bind import EAGER_ROUTING, QUIET, bind_model, scaling_options
from deployments.telemetry import ProcessTelemetry
from serve.config import AppConfig, Auth
from serve.router import Router
from serve.settings import read_settings

ROUTER = "router"


def build_app(config: AppConfig) -> ray_serve.Application:
    """The application: one deployment per model, and the router in front.

    `serve deploy` calls this with the config file's `args:`; `atelier up` calls it with a loaded config.
    """
    config = with_environment(config)
    process = process_telemetry(config)
    models = {name: bind_model(name, spec, process) for name, spec in config.models.items()}
    router = config.router
    deployment = ray_serve.deployment(
        name=ROUTER,
        ray_actor_options={"num_cpus": router.num_cpus},
        max_ongoing_requests=router.max_ongoing_requests,
        graceful_shutdown_timeout_s=router.graceful_shutdown_timeout_s,
        request_router_config=EAGER_ROUTING,
        logging_config=QUIET,
        **scaling_options(router.autoscaling),
    )(ray_serve.ingress()(Router))
    return deployment.bind(config, models, process)


def with_environment(config: AppConfig) -> AppConfig:
    """The config with what it leaves to the environment filled in."""
    if config.auth.keys_file is not None:
        return config
    return config.model_copy(update={"auth": Auth(keys_file=read_settings().api_keys_file)})


def process_telemetry(config: AppConfig) -> ProcessTelemetry:
    """What every process is told; the environment fills what the config leaves open."""
    settings = read_settings()
    telemetry = config.telemetry
    return ProcessTelemetry(
        otlp_endpoint=telemetry.otlp_endpoint or settings.otlp_endpoint,
        service_name=telemetry.service_name,
        sample_ratio=telemetry.sample_ratio,
        log_level=telemetry.log_level or settings.log_level or "INFO",
    )

"""AppConfig: everything the application is told, in one file with one schema.

Paths that start with `./` or `../` are relative to the config file's folder. Knows nothing of Ray.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError, model_validator

from deployments.catalog import ModelSpec
from deployments.denoiser.spec import DenoiserSpec
from deployments.diffusion.spec import DiffusionSpec
from deployments.fakes import EchoSpec
from deployments.hosted.spec import IdeogramSpec, OpenAICompatibleSpec, OpenAIImagesSpec
from deployments.provenance.mark import Metadata
from deployments.spec import Autoscaling, ClosedModel, ModelName
from deployments.typesetter.spec import TypesetterSpec
from deployments.upscaler.spec import UpscalerSpec
from routing.types import Capability, ModelFacts


class ConfigError(ValueError):
    """A config that cannot be used. The message has one line per problem, each with its path."""


class ConfigMapRef(ClosedModel):
    """A key of a ConfigMap, watched through the Kubernetes API: a change is in force within a second.

    `fallback_path` is read at start, and only then, when the API does not answer: a mounted copy.
    """

    namespace: Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")]
    name: Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$")]
    key: Annotated[str, Field(pattern=r"^[-._a-zA-Z0-9]{1,253}$")] = "policy.yaml"
    fallback_path: str | None = None


class PolicySource(ClosedModel):
    """Where the routing policy comes from: a file that is re-read when it changes, text in place, or a
    ConfigMap that is watched."""

    path: str | None = None
    text: str | None = None
    config_map: ConfigMapRef | None = None
    reload_interval_s: Annotated[float, Field(gt=0, le=60)] = 0.5

    @model_validator(mode="after")
    def _one_source(self) -> "PolicySource":
        if sum(source is not None for source in (self.path, self.text, self.config_map)) != 1:
            raise ValueError("give exactly one of path, text and config_map")
        return self

    @property
    def file(self) -> str | None:
        """The policy's file on this machine, where it has one."""
        return self.config_map.fallback_path if self.config_map else self.path


class RouterSpec(ClosedModel):
    """The ingress deployment. Several replicas keep requests safe when one dies. Every
    `load_poll_interval_s` each asks the models' replicas for their load and the other routers for theirs."""

    autoscaling: Autoscaling = Autoscaling(min_replicas=1, max_replicas=1, target_ongoing_requests=64)
    num_cpus: Annotated[float, Field(ge=0)] = 1.0
    max_ongoing_requests: Annotated[int, Field(ge=1)] = 256
    graceful_shutdown_timeout_s: Annotated[float, Field(ge=0)] = 60.0
    load_poll_interval_s: Annotated[float, Field(gt=0, le=60)] = 0.5


class Limits(ClosedModel):
    """What is refused before any work."""

    max_body_bytes: Annotated[int, Field(ge=1024)] = 20 * 1024 * 1024
    max_prompt_chars: Annotated[int, Field(ge=1)] = 4000
    max_n: Annotated[int, Field(ge=1, le=10)] = 4
    min_side: Annotated[int, Field(ge=1)] = 16
    max_side: Annotated[int, Field(ge=16)] = 4096
    default_max_latency_ms: Annotated[float, Field(gt=0)] | None = 60_000


class FileStore(ClosedModel):
    """Where `response_format: url` puts images: any fsspec URL. A folder serves one node; a cluster with
    several needs a shared location."""

    url: str = "memory://atelier"
    ttl_s: Annotated[float, Field(gt=0)] = 3600.0
    public_base_url: str | None = None


class CacheSpec(ClosedModel):
    """Images of deterministic models, kept in each router's memory for equal requests. 0 bytes: none is
    kept, and equal requests are rendered each for itself."""

    max_bytes: Annotated[int, Field(ge=0)] = 256 * 1024 * 1024
    ttl_s: Annotated[float, Field(gt=0)] = 3600.0
    scope: Literal["tenant", "everybody"] = "tenant"


class Batches(ClosedModel):
    """OpenAI's files and batches. `folder` holds their queue, and `files_url` (any fsspec URL; unset: in the
    folder) their contents; every router replica must see the same ones. Without a folder there are none."""

    folder: str | None = None
    files_url: str | None = None
    journal: Literal["wal", "delete"] = "wal"
    concurrency: Annotated[int, Field(ge=1, le=256)] = 2
    lease_s: Annotated[float, Field(gt=0, le=3600)] = 60.0
    completion_window_s: Annotated[float, Field(gt=0, le=30 * 86400)] = 86400.0
    max_file_bytes: Annotated[int, Field(ge=1024)] = 50 * 1024 * 1024
    max_lines: Annotated[int, Field(ge=1, le=1_000_000)] = 50_000
    max_open_per_tenant: Annotated[int, Field(ge=1)] = 16
    max_bytes_per_tenant: Annotated[int, Field(ge=1024)] = 10 * 1024**3
    file_ttl_s: Annotated[int, Field(ge=60)] = 30 * 86400


class Rasters(ClosedModel):
    """`folder` holds the baked assets that routes name as `raster_fallback`; unset: the policy's folder."""

    folder: str | None = None


class ProvenanceSpec(ClosedModel):
    """What files say of their making. A caller may ask for other `metadata`. It is not signed."""

    metadata: Metadata = Metadata.RECEIPT


class Auth(ClosedModel):
    """`keys_file` holds hashed API keys (see `atelier key`); unset, the environment's
    ATELIER_API_KEYS_FILE counts; without either, everybody may call."""

    keys_file: str | None = None


class Telemetry(ClosedModel):
    """Unset values come from the environment (OTEL_EXPORTER_OTLP_ENDPOINT, ATELIER_LOG_LEVEL)."""

    otlp_endpoint: str | None = None
    service_name: str = "atelier"
    sample_ratio: Annotated[float, Field(ge=0, le=1)] = 1.0
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] | None = None


class AppConfig(ClosedModel):
    models: Annotated[dict[ModelName, ModelSpec], Field(min_length=1)]
    policy: PolicySource
    router: RouterSpec = RouterSpec()
    limits: Limits = Limits()
    auth: Auth = Auth()
    files: FileStore = FileStore()
    cache: CacheSpec = CacheSpec()
    batches: Batches = Batches()
    rasters: Rasters = Rasters()
    provenance: ProvenanceSpec = ProvenanceSpec()
    telemetry: Telemetry = Telemetry()


def load_config(path: str | Path) -> AppConfig:
    """Reads YAML. Raises ConfigError, whose message names file, path in the document and what is wrong."""
    file = Path(path)
    try:
        document = yaml.safe_load(file.read_bytes())
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read ({error.strerror})") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{file}: not YAML: {error}") from None
    if not isinstance(document, dict):
        raise ConfigError(f"{file}: expected a mapping with `models` and `policy`")
    return parse_config(_absolute(document, file.resolve().parent), source=str(file))


def parse_config(document: Mapping[str, Any], source: str = "config") -> AppConfig:
    try:
        return AppConfig.model_validate(document)
    except ValidationError as error:
        lines = [f"{source}: {_where(each['loc'])}: {each['msg']}" for each in error.errors()]
        raise ConfigError("\n".join(lines)) from None


def model_facts(config: AppConfig) -> dict[str, ModelFacts]:
    """What the policy engine needs to know of each model."""
    return {name: _facts(name, spec) for name, spec in config.models.items()}


def _facts(name: str, spec: ModelSpec) -> ModelFacts:
    common: dict[str, Any] = {
        "name": name,
        "usd_per_image": spec.pricing.usd_per_image,
        "usd_per_gpu_s": spec.pricing.usd_per_gpu_hour / 3600 * spec.num_gpus,
    }
    match spec:
        case DiffusionSpec():
            return ModelFacts(
                capabilities=frozenset({Capability.GENERATE, Capability.EDIT}),
                max_pixels=spec.max_pixels,
                default_width=spec.default_width,
                default_height=spec.default_height,
                default_steps=spec.default_steps,
                **common,
            )
        case TypesetterSpec():
            return ModelFacts(
                capabilities=frozenset({Capability.GENERATE, Capability.TYPESET}),
                max_pixels=spec.max_pixels,
                vector=True,
                seeded=False,
                **common,
            )
        case UpscalerSpec():
            return ModelFacts(
                capabilities=frozenset({Capability.UPSCALE}),
                max_pixels=spec.max_pixels,
                scale=spec.factor,
                seeded=False,
                **common,
            )
        case DenoiserSpec():
            return ModelFacts(
                capabilities=frozenset({Capability.DENOISE}),
                max_pixels=spec.max_pixels,
                seeded=False,
                **common,
            )
        case OpenAIImagesSpec() | OpenAICompatibleSpec() | IdeogramSpec():
            return ModelFacts(
                capabilities=frozenset(
                    {Capability.GENERATE, Capability.EDIT} if spec.edits else {Capability.GENERATE}
                ),
                size_problem=spec.size_problem,
                default_width=spec.default_width,
                default_height=spec.default_height,
                deterministic=spec.is_deterministic,
                billed_when_sent=True,
                prior_overhead_ms=spec.expected_ms,
                **common,
            )
        case EchoSpec():
            return ModelFacts(
                capabilities=frozenset({Capability(spec.capability)}),
                scale=spec.scale,
                default_width=spec.default_width,
                default_height=spec.default_height,
                **common,
            )


def _absolute(value: Any, folder: Path) -> Any:
    if isinstance(value, dict):
        return {key: _absolute(each, folder) for key, each in value.items()}
    if isinstance(value, list):
        return [_absolute(each, folder) for each in value]
    if isinstance(value, str) and value.startswith(("./", "../")):
        return str((folder / value).resolve())
    return value


def _where(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location) or "(top level)"

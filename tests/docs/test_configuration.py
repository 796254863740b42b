"""docs/configuration.md has every key of the config with its default, and no other."""

import re
from enum import Enum
from typing import Any

import pytest
import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from deployments.denoiser.spec import DenoiserSpec
from deployments.diffusion.spec import DiffusionSpec, LoraSpec
from deployments.fakes import EchoSpec
from deployments.hosted.keys import KeySource
from deployments.hosted.spec import HostedSpec, IdeogramSpec, OpenAICompatibleSpec, OpenAIImagesSpec
from deployments.spec import Autoscaling, BaseSpec, Pricing, WorkScaling
from deployments.typesetter.spec import TypesetterSpec
from deployments.upscaler.spec import DiffusionUpscaling, UpscalerSpec
from serve.config import (
    AppConfig,
    Auth,
    Batches,
    CacheSpec,
    ConfigMapRef,
    FileStore,
    Limits,
    PolicySource,
    ProvenanceSpec,
    Rasters,
    RouterSpec,
    Telemetry,
    parse_config,
)
from serve.settings import _OF_OTHERS, Settings
from tests.docs.pages import PAGES, blocks, names, read, rows, section

TEXT = read("docs/configuration.md")
SECTIONS: dict[str, type[BaseModel]] = {
    "The file": AppConfig,
    "policy": PolicySource,
    "config_map": ConfigMapRef,
    "router": RouterSpec,
    "limits": Limits,
    "auth": Auth,
    "files": FileStore,
    "cache": CacheSpec,
    "batches": Batches,
    "rasters": Rasters,
    "provenance": ProvenanceSpec,
    "telemetry": Telemetry,
    "Every model": BaseSpec,
    "Autoscaling": Autoscaling,
    "Scaling by work": WorkScaling,
    "Pricing": Pricing,
    "kind: diffusion": DiffusionSpec,
    "Adapters": LoraSpec,
    "kind: typesetter": TypesetterSpec,
    "kind: upscaler": UpscalerSpec,
    "Diffusion upscaling": DiffusionUpscaling,
    "kind: denoiser": DenoiserSpec,
    "Hosted models": HostedSpec,
    "Keys of providers": KeySource,
    "kind: openai_images": OpenAIImagesSpec,
    "kind: openai_compatible": OpenAICompatibleSpec,
    "kind: ideogram": IdeogramSpec,
    "kind: echo": EchoSpec,
}


@pytest.mark.parametrize(("title", "model"), SECTIONS.items(), ids=SECTIONS)
def test_keys_and_defaults(title: str, model: type[BaseModel]) -> None:
    documented = {names(row[0])[0]: row[1] for row in rows(section(TEXT, title).own)}
    assert documented == _own_defaults(model)


def test_no_section_of_the_config_is_missing() -> None:
    """Every model that AppConfig is made of has a section here."""
    seen: set[type[BaseModel]] = set()
    waiting: list[Any] = [AppConfig]
    while waiting:
        kind = waiting.pop()
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            if kind not in seen:
                seen.add(kind)
                waiting += [field.annotation for field in kind.model_fields.values()]
        else:
            waiting += getattr(kind, "__args__", ())
            waiting += [getattr(kind, "__origin__", None)] if hasattr(kind, "__metadata__") else []
    assert len(seen) > 10
    assert seen <= set(SECTIONS.values())


def test_the_example_is_a_config() -> None:
    document = yaml.safe_load(blocks(TEXT, "yaml")[0])
    config = parse_config(document)
    assert config.models["creative_highfidelity"].autoscaling.max_replicas == 4
    assert config.limits.max_n == 2


def test_the_environment_is_what_is_read() -> None:
    documented = {names(row[0])[0] for row in rows(section(TEXT, "Environment").own)}
    own = {f"ATELIER_{name.upper()}" for name in Settings.__slots__ if name != "otlp_endpoint"}
    assert documented == own | {"OTEL_EXPORTER_OTLP_ENDPOINT"}


def test_no_page_names_a_variable_that_is_refused() -> None:
    named = {name for page in PAGES for name in re.findall(r"\bATELIER_[A-Z_]+\b", page.read_text("utf-8"))}
    known = {f"ATELIER_{name.upper()}" for name in Settings.__slots__}
    assert named <= known | _OF_OTHERS


def _own_defaults(model: type[BaseModel]) -> dict[str, str]:
    """Without `kind`, and without what a section of the spec it derives from says already."""
    parent = next((base for base in model.__mro__[1:] if base in SECTIONS.values()), None)
    said = {} if parent is None else {name: _default(each) for name, each in parent.model_fields.items()}
    own = {name: _default(field) for name, field in model.model_fields.items() if name != "kind"}
    return {name: default for name, default in own.items() if said.get(name) != default}


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined:
        return "required"
    if isinstance(value, BaseModel):
        return "see below"
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, float):
        return f"{value:.15g}"
    return {None: "none", "": "empty", (): "[]"}.get(value, str(value)) if _hashable(value) else str(value)


def _hashable(value: object) -> bool:
    return not isinstance(value, dict)

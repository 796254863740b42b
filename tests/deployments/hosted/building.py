"""Hosted models and requests for the tests of adapters."""

import time
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from deployments.catalog import ModelSpec, build_model
from deployments.hosted.model import HostedModel
from deployments.types import Encoding, ImageFormat, Mask, Pixels, RenderRequest
from tests.deployments.hosted.standin import KEY_VARIABLE, StandIn

_SPECS: TypeAdapter[Any] = TypeAdapter(ModelSpec)
KEYED = {"api_key": {"env": KEY_VARIABLE}}


def openai_images(api: StandIn, model: str, **fields: Any) -> HostedModel:
    return _built(kind="openai_images", base_url=f"{api.origin}/v1", model=model, **KEYED, **fields)


def compatible(api: StandIn, **fields: Any) -> HostedModel:
    return _built(kind="openai_compatible", base_url=f"{api.origin}/v1", model="m", **KEYED, **fields)


def ideogram(api: StandIn, model: str, **fields: Any) -> HostedModel:
    return _built(kind="ideogram", base_url=api.origin, model=model, **KEYED, **fields)


def _built(**fields: Any) -> HostedModel:
    model = build_model("hosted", _SPECS.validate_python(fields))
    assert isinstance(model, HostedModel)
    return model


def request(
    width: int = 1024, height: int = 1024, budget_s: float | None = None, **fields: Any
) -> RenderRequest:
    deadline = None if budget_s is None else time.time() + budget_s
    defaults: dict[str, Any] = {"encoding": Encoding(ImageFormat.PNG), "deadline_unix_s": deadline}
    return RenderRequest("r", "a fox", width, height, 1, **defaults | fields)


def photo(width: int = 64, height: int = 64) -> Pixels:
    return np.full((height, width, 3), 90, np.uint8)


def left_half(width: int = 64, height: int = 64) -> Mask:
    """Only the left half may change."""
    mask = np.zeros((height, width), np.uint8)
    mask[:, : width // 2] = 255
    return mask

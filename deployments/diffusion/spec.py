"""Config of a diffusers text-to-image model. Imports neither torch nor diffusers."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from deployments.spec import BaseSpec, ClosedModel


class LoraSpec(ClosedModel):
    """An adapter that requests may ask for by name. `weights` as for the model: safetensors only."""

    weights: str
    revision: str | None = None
    weight_name: str | None = None
    scale: Annotated[float, Field(gt=0, le=2)] = 1.0

    @model_validator(mode="after")
    def _pinned(self) -> "LoraSpec":
        require_pinned(self.weights, self.revision)
        return self


class DiffusionSpec(BaseSpec):
    """A pipeline that `from_pretrained` loads: safetensors only, no remote code.

    `weights` is a folder or a hub id; a hub id needs a pinned `revision`. `max_pixels` bounds one image.
    `execution`: "stepwise" shares denoiser calls between requests; "opaque" gives each step to one
    request alone, for pipelines whose calls cannot be shared; "auto" takes stepwise where it can.
    `max_batch` bounds the requests in one call; memory may lower it. `steady_width` is how many requests
    a deterministic batch is padded to: changing it changes pixels. `patience_s` orders requests without
    a deadline, `background_patience_s` those of priority "batch". A step, or the work beside it,
    that takes longer than `hung_step_s`, and far longer than predicted, fails the replica's health check.
    `profile` is a file of step times, as `profiling.profile_model` measures them.
    """

    kind: Literal["diffusion"]
    weights: str
    revision: str | None = None
    variant: str | None = None
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    execution: Literal["auto", "stepwise", "opaque"] = "auto"
    default_width: Annotated[int, Field(ge=8, le=8192, multiple_of=8)] = 512
    default_height: Annotated[int, Field(ge=8, le=8192, multiple_of=8)] = 512
    default_steps: Annotated[int, Field(ge=1, le=1000)] = 20
    default_guidance_scale: Annotated[float, Field(ge=0)] = 5.0
    default_strength: Annotated[float, Field(gt=0, le=1)] = 0.6
    max_steps: Annotated[int, Field(ge=1, le=1000)] = 100
    max_pixels: Annotated[int, Field(ge=64)] = 2048 * 2048
    max_batch: Annotated[int, Field(ge=1, le=256)] = 8
    steady_width: Annotated[int, Field(ge=1, le=64)] = 4
    patience_s: Annotated[float, Field(gt=0)] = 30.0
    background_patience_s: Annotated[float, Field(gt=0)] = 300.0
    hung_step_s: Annotated[float, Field(gt=0)] = 60.0
    loras: dict[str, LoraSpec] = Field(default_factory=dict)
    profile: str | None = None

    @model_validator(mode="after")
    def _consistent(self) -> "DiffusionSpec":
        require_pinned(self.weights, self.revision)
        if self.steady_width > self.max_batch:
            raise ValueError(f"steady_width {self.steady_width} is greater than max_batch {self.max_batch}")
        if self.default_steps > self.max_steps:
            raise ValueError(f"default_steps {self.default_steps} is greater than max_steps {self.max_steps}")
        return self


def is_local(weights: str) -> bool:
    """Whether `weights` names a folder, by its form: a hub id is `owner/name`, with no other slash."""
    return weights.startswith(("/", "./", "../", "~")) or weights.count("/") != 1 or Path(weights).is_dir()


def require_pinned(weights: str, revision: str | None) -> None:
    """Raises ValueError for a hub id without a commit: what is served must not change by itself."""
    if not is_local(weights) and revision is None:
        raise ValueError(
            f'weights "{weights}" is neither a folder here nor pinned: '
            "name a folder, or set revision to a commit of that hub repository"
        )

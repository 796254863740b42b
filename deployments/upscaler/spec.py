"""Config of an upscaler. Imports neither torch nor transformers nor diffusers."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from deployments.spec import ClosedModel
from deployments.tiles.spec import TiledSpec


class DiffusionUpscaling(ClosedModel):
    """How a diffusers upscale pipeline is run on each tile. `prompt` describes all pictures that the model is
    used for; it counts with a `guidance_scale` above 1. `noise_level` is what 4x pipelines add to their input
    (unset: 20): more lets them invent more."""

    steps: Annotated[int, Field(ge=1, le=1000)] = 20
    guidance_scale: Annotated[float, Field(ge=0, le=50)] = 0.0
    noise_level: Annotated[int, Field(ge=0, le=999)] | None = None
    prompt: Annotated[str, Field(max_length=4000)] = ""
    negative_prompt: Annotated[str, Field(max_length=4000)] = ""


class UpscalerSpec(TiledSpec):
    """`weights` is a folder or hub id (then `revision` pins it): of a Swin2SR network, or with `diffusion` of
    a diffusers upscale pipeline. Without it Lanczos is used.

    A factor above that of the weights runs them repeatedly.
    """

    kind: Literal["upscaler"]
    weights: str | None = None
    revision: str | None = None
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    factor: Literal[2, 4] = 2
    diffusion: DiffusionUpscaling | None = None

    @model_validator(mode="after")
    def _diffusion_has_weights(self) -> Self:
        if self.diffusion is not None and self.weights is None:
            raise ValueError("diffusion needs weights: a folder or hub id of a diffusers upscale pipeline")
        return self

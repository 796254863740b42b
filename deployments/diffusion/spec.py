"""Config of a diffusers text-to-image model. Imports neither torch nor diffusers."""

from typing import Annotated, Literal

from pydantic import Field

from deployments.spec import BaseSpec


class DiffusionSpec(BaseSpec):
    """A pipeline that `from_pretrained` loads: safetensors only, no remote code.

    `weights` is a folder or a hub id; a hub id needs a pinned `revision`. `max_pixels` bounds one image.
    """

    kind: Literal["diffusion"]
    weights: str
    revision: str | None = None
    variant: str | None = None
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    default_width: Annotated[int, Field(ge=8, le=8192, multiple_of=8)] = 512
    default_height: Annotated[int, Field(ge=8, le=8192, multiple_of=8)] = 512
    default_steps: Annotated[int, Field(ge=1, le=1000)] = 20
    default_guidance_scale: Annotated[float, Field(ge=0)] = 5.0
    max_steps: Annotated[int, Field(ge=1, le=1000)] = 100
    max_pixels: Annotated[int, Field(ge=64)] = 2048 * 2048

"""Config of an upscaler. Imports neither torch nor transformers."""

from typing import Annotated, Literal

from pydantic import Field

from deployments.spec import BaseSpec


class UpscalerSpec(BaseSpec):
    """`weights` is a Swin2SR folder or hub id; without it Lanczos resampling is used.

    `tile` and `overlap` are in pixels of the input. `max_pixels` bounds the output.
    """

    kind: Literal["upscaler"]
    weights: str | None = None
    revision: str | None = None
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    factor: Literal[2, 4] = 2
    tile: Annotated[int, Field(ge=16, le=4096)] = 128
    overlap: Annotated[int, Field(ge=0, le=256)] = 8
    max_pixels: Annotated[int, Field(ge=64)] = 8192 * 8192

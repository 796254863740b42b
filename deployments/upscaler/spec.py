"""Config of an upscaler. Imports neither torch nor transformers."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from deployments.spec import BaseSpec


class UpscalerSpec(BaseSpec):
    """`weights` is a Swin2SR folder or hub id (then `revision` pins it); without it Lanczos is used.

    `tile` and `overlap` are in pixels of the input; `overlap` is what two neighbouring tiles share.
    `tile_batch` tiles are computed at once (default: 1 on a CPU, 8 on a GPU), fewer when they do not fit.
    `tile_memory_bytes` bounds what all requests of a replica hold together beyond their inputs: tiles in
    work, intermediate and finished pixels, and the encoder's copies. Requests wait for their share.
    `max_pixels` bounds the output. A factor above that of the weights runs them repeatedly.
    """

    kind: Literal["upscaler"]
    weights: str | None = None
    revision: str | None = None
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    factor: Literal[2, 4] = 2
    tile: Annotated[int, Field(ge=32, le=4096)] = 128
    overlap: Annotated[int, Field(ge=8, le=256)] = 32
    tile_batch: Annotated[int, Field(ge=1, le=256)] | None = None
    tile_memory_bytes: Annotated[int, Field(ge=1 << 20)] = 512 << 20
    max_pixels: Annotated[int, Field(ge=64)] = 8192 * 8192

    @model_validator(mode="after")
    def _tiles_advance(self) -> "UpscalerSpec":
        if self.overlap * 2 > self.tile:
            raise ValueError(f"overlap {self.overlap} is more than half of tile {self.tile}")
        return self

"""Config that models which work in tiles have in common. Imports nothing heavy."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from deployments.spec import BaseSpec


class TiledSpec(BaseSpec):
    """`tile` and `overlap` are in pixels of the input; `overlap` is what two neighbouring tiles share.

    `tile_batch` tiles are computed at once (default: 1 on a CPU, 8 on a GPU), fewer when they do not fit.
    `tile_memory_bytes` bounds what all requests of a replica hold together beyond their inputs: tiles in
    work, intermediate and finished pixels, and the encoder's copies. Requests wait for their share.
    `max_pixels` bounds the output.
    """

    tile: Annotated[int, Field(ge=32, le=4096)] = 160
    overlap: Annotated[int, Field(ge=8, le=256)] = 32
    tile_batch: Annotated[int, Field(ge=1, le=256)] | None = None
    tile_memory_bytes: Annotated[int, Field(ge=1 << 20)] = 512 << 20
    max_pixels: Annotated[int, Field(ge=64)] = 8192 * 8192

    @model_validator(mode="after")
    def _tiles_advance(self) -> Self:
        if self.overlap * 2 > self.tile:
            raise ValueError(f"overlap {self.overlap} is more than half of tile {self.tile}")
        return self

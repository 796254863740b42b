"""Config of a denoiser for interface art. Imports no torch."""

from typing import Annotated, Literal

from pydantic import Field

from deployments.tiles.spec import TiledSpec

Colour = Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")]


class DenoiserSpec(TiledSpec):
    """`weights` is a folder with the network of this project (network.py).

    `palette` lists brand colours: after denoising, pixels within `snap_levels` of one, in every channel,
    become exactly that colour. "auto" takes the flat colours of each image. A request may say otherwise.
    """

    kind: Literal["denoiser"]
    weights: str
    palette: tuple[Colour, ...] | Literal["auto"] = ()
    snap_levels: Annotated[int, Field(ge=0, le=64)] = 6
    tile: Annotated[int, Field(ge=32, le=4096)] = 288
    overlap: Annotated[int, Field(ge=8, le=256)] = 48

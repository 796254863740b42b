"""Config of an upscaler. Imports neither torch nor transformers."""

from typing import Literal

from deployments.tiles.spec import TiledSpec


class UpscalerSpec(TiledSpec):
    """`weights` is a Swin2SR folder or hub id (then `revision` pins it); without it Lanczos is used.

    A factor above that of the weights runs them repeatedly.
    """

    kind: Literal["upscaler"]
    weights: str | None = None
    revision: str | None = None
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    factor: Literal[2, 4] = 2

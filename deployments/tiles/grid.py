"""Cuts an image into overlapping tiles of one shape and joins the enlarged tiles without seams.

Pure numpy; knows nothing of networks. All tiles of an image have the same shape and start at multiples of
`align`, so that a network that works in windows sees the same windows in a tile as in the whole image.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

from deployments.types import Pixels

Tiles = npt.NDArray[np.uint8]
"""Shape (count, height, width, 3)."""


@dataclass(frozen=True, slots=True)
class Tile:
    """Where a tile starts, in input pixels. Negative, and past the image, where it covers padding."""

    top: int
    left: int


@dataclass(frozen=True, slots=True)
class TileGrid:
    """Tiles in row order, each `height` x `width` input pixels; neighbours share `overlap` or more."""

    image_height: int
    image_width: int
    height: int
    width: int
    overlap: int
    tops: tuple[int, ...]
    lefts: tuple[int, ...]

    @property
    def rim(self) -> int:
        """Pixels at each edge that a tile shares with another and leaves to it: 3/8 of the overlap."""
        return self.overlap * 3 // 8

    def __len__(self) -> int:
        return len(self.tops) * len(self.lefts)

    def __iter__(self) -> Iterator[Tile]:
        return (Tile(top, left) for top, left in product(self.tops, self.lefts))

    def cut(self, image: Pixels, tile: Tile) -> Pixels:
        """The pixels of a tile; the image's edge pixels are repeated outside of it."""
        rows = np.clip(np.arange(tile.top, tile.top + self.height), 0, self.image_height - 1)
        columns = np.clip(np.arange(tile.left, tile.left + self.width), 0, self.image_width - 1)
        return image[rows[:, None], columns[None, :]]

    def join(self, output: Pixels, tile: Tile, enlarged: Pixels, factor: int) -> None:
        """Lays an enlarged tile over what earlier tiles left in `output`, fading in over the overlap.

        Tiles come in the order of the grid. Their rims, where they lack context, are not used (`rim`); the
        rest of an overlap is faded. No accumulator the size of the image is needed.
        """
        top, left = max(0, tile.top), max(0, tile.left)
        bottom = min(self.image_height, tile.top + self.height - self.rim * (tile.top < self.tops[-1]))
        right = min(self.image_width, tile.left + self.width - self.rim * (tile.left < self.lefts[-1]))
        rows, columns = slice(top * factor, bottom * factor), slice(left * factor, right * factor)
        inner_rows = slice((top - tile.top) * factor, (bottom - tile.top) * factor)
        inner_columns = slice((left - tile.left) * factor, (right - tile.left) * factor)
        below = self._fade(self.height, tile.top > self.tops[0], factor)[inner_rows]
        beside = self._fade(self.width, tile.left > self.lefts[0], factor)[inner_columns]
        _lay_over(output[rows, columns], enlarged[inner_rows, inner_columns], below, beside)

    def _fade(self, extent: int, follows: bool, factor: int) -> npt.NDArray[np.float32]:
        """Opacity along one axis of a tile: 0, rising, 1 where it `follows` another; else 1."""
        if not follows:
            return np.ones(extent * factor, np.float32)
        place = np.arange(extent * factor, dtype=np.float32) - self.rim * factor + 0.5
        opacity: npt.NDArray[np.float32] = np.clip(place / ((self.overlap - 2 * self.rim) * factor), 0, 1)
        return opacity


def grid(height: int, width: int, tile: int, overlap: int, align: int, margin: int) -> TileGrid:
    """The tiles of an image with `margin` pixels of repeated edge around it.

    `tile` and `overlap` are `rounded`. Small images get one small tile.
    """
    tile, overlap = rounded(tile, overlap, align)
    tile_height, tops = _axis(height, tile, overlap, align, margin)
    tile_width, lefts = _axis(width, tile, overlap, align, margin)
    return TileGrid(height, width, tile_height, tile_width, overlap, tops, lefts)


def rounded(tile: int, overlap: int, align: int) -> tuple[int, int]:
    """Side of a tile, down, and overlap, up, to multiples of `align`.

    Raises ValueError if tiles would not advance then.
    """
    side, shared = max(align, tile // align * align), -(-overlap // align) * align
    if shared >= side:
        raise too_narrow(tile, overlap, align)
    return side, shared


def too_narrow(tile: int, overlap: int, align: int) -> ValueError:
    """What is wrong with a tile that holds its overlaps no more, and what would do."""
    least = 2 * (-(-overlap // align) * align)
    return ValueError(
        f"the weights work in steps of {align} pixels: with overlap {overlap} a tile needs {least} or more, "
        f"not {tile}"
    )


def _axis(length: int, tile: int, overlap: int, align: int, margin: int) -> tuple[int, tuple[int, ...]]:
    padded = -(-(length + 2 * margin) // align) * align
    if padded <= tile:
        return padded, (-margin,)
    last = padded - tile
    starts = [*range(0, last, tile - overlap), last]
    return tile, tuple(start - margin for start in starts)


def _lay_over(
    ground: Pixels, layer: Pixels, below: npt.NDArray[np.float32], beside: npt.NDArray[np.float32]
) -> None:
    """`ground` becomes a mix of itself and `layer`, row by row, so that little is held as floats."""
    for row, opacity in enumerate(below):
        weights = (beside * opacity).reshape(-1, *([1] * (ground.ndim - 2)))
        mixed = ground[row] + weights * (layer[row].astype(np.float32) - ground[row])
        ground[row] = (mixed + 0.5).astype(np.uint8)

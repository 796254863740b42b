"""Noise that belongs to places of a picture, so that tiles which overlap start from the same.

Knows nothing of networks.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from deployments.tiles.grid import Tile


def placed_noise(
    places: Sequence[Tile], extent: tuple[int, int], channels: int, align: int, scale: float
) -> npt.NDArray[np.float32]:
    """Standard normal noise of shape (tiles, channels, height x scale, width x scale).

    `extent` is the height and width of the tiles in pixels; they and the `places` are multiples of `align`.
    `scale` is how many values there are along a pixel's side.
    """
    rows, columns = extent[0] // align, extent[1] // align
    side = round(align * scale)
    noise = np.empty((len(places), channels, rows * side, columns * side), np.float32)
    for index, place in enumerate(places):
        for row in range(rows):
            for column in range(columns):
                block = _block(place.top // align + row, place.left // align + column, channels, side)
                noise[index, :, row * side : (row + 1) * side, column * side : (column + 1) * side] = block
    return noise


def seed_of(place: Tile) -> int:
    """Differs between places and is the same in every run."""
    digest = hashlib.blake2b(f"{place.top},{place.left}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def _block(row: int, column: int, channels: int, side: int) -> npt.NDArray[np.float32]:
    """Philox (Salmon et al., Parallel Random Numbers: As Easy as 1, 2, 3, 2011) has a stream for each key."""
    source = np.random.Generator(np.random.Philox(key=np.array([row, column], np.uint64)))
    return source.standard_normal((channels, side, side), np.float32)

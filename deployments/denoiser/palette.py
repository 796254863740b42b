"""Snaps colours that are almost a palette's colour to exactly that colour.

After denoising, flat areas are within a few levels of the colour they were drawn in; edges lie between
colours and stay as they are. Knows numpy only.
"""

import math

import numpy as np
import numpy.typing as npt

from deployments.types import Pixels

Palette = npt.NDArray[np.uint8]
"""Shape (colours, 3), RGB."""

BIN_LEVELS = 8
FLAT_SHARE = 0.005
"""A colour is flat if a bin of 8 x 8 x 8 levels around it holds at least this share of the pixels."""
MOST_COLOURS = 32
MOST_LOOKED_AT = 1 << 20
"""Pixels of a larger picture are looked at on a grid: counting all of them would take 30 bytes each."""
ROWS_AT_ONCE = 64


def parsed(colours: tuple[str, ...]) -> Palette:
    """Of "#rrggbb" strings."""
    return np.array([list(bytes.fromhex(colour[1:])) for colour in colours], np.uint8).reshape(-1, 3)


def flat_colours(pixels: Pixels, levels: int) -> Palette:
    """The colours of the picture's flat areas, most frequent first: of each full bin, its commonest colour.

    A colour within `levels` of a more frequent one, in every channel, belongs to it.
    """
    stride = math.ceil(math.sqrt(pixels.shape[0] * pixels.shape[1] / MOST_LOOKED_AT))
    looked_at = pixels[::stride, ::stride, :3].reshape(-1, 3)
    packed = looked_at @ np.array([1 << 16, 1 << 8, 1], np.uint32)
    values, counts = np.unique(packed, return_counts=True)
    colours = np.stack([values >> 16, values >> 8 & 255, values & 255], 1).astype(np.int16)
    _, bins = np.unique(colours // BIN_LEVELS, axis=0, return_inverse=True)
    in_bin = np.bincount(bins.ravel(), counts)
    chosen: list[npt.NDArray[np.int16]] = []
    for index in np.argsort(-in_bin, kind="stable")[: MOST_COLOURS * 4]:
        if in_bin[index] < FLAT_SHARE * len(packed) or len(chosen) == MOST_COLOURS:
            break
        members = np.flatnonzero(bins.ravel() == index)
        commonest = colours[members[counts[members].argmax()]]
        if all(np.abs(commonest - other).max() > levels for other in chosen):
            chosen.append(commonest)
    return np.array(chosen, np.uint8).reshape(-1, 3)


def snap(pixels: Pixels, palette: Palette, levels: int) -> None:
    """In place: pixels within `levels` of a palette colour in every channel become the nearest such colour.

    Of two equally near the first wins. Alpha stays.
    """
    for top in range(0, len(pixels), ROWS_AT_ONCE):
        rows = pixels[top : top + ROWS_AT_ONCE, :, :3]
        given = rows.astype(np.int16)
        nearest = np.full(rows.shape[:2], levels + 1, np.int16)
        for colour in palette:
            distance = np.abs(given - colour).max(-1)
            rows[distance < nearest] = colour
            np.minimum(nearest, distance, out=nearest)

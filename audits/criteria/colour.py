"""Is the picture made of the brand's colours? CIEDE2000 (Sharma, Wu, Dalal 2005) from dominant colours to
the palette."""

import numpy as np
from numpy.typing import NDArray

from audits.criteria.subject import Criterion, Measured, Picture, Subject

MIN_SHARE_RATIO = 0.04
"""A dominant colour fills at least this share of what is not transparent; blends at edges fill less."""
_OPAQUE = 250
_CELL = 16
"""Sides of the cubes in which like colours are counted as one."""

Colours = NDArray[np.float64]
"""n × 3."""


def delta_e(one: Colours, other: Colours) -> NDArray[np.float64]:
    """CIEDE2000 of CIELAB colours, by rows."""
    from skimage.color import deltaE_ciede2000

    return np.asarray(deltaE_ciede2000(one, other), np.float64)


def to_lab(rgb: Colours) -> Colours:
    """CIELAB (D65, 2°) of sRGB colours from 0 to 255."""
    from skimage.color import rgb2lab

    return np.asarray(rgb2lab(np.asarray(rgb, np.float64)[None] / 255)[0], np.float64)


def dominant_colours(picture: Picture) -> list[tuple[Colours, float]]:
    """The mean colour of each cube of like colours that fills enough of the picture, the largest first,
    with its share of the opaque pixels."""
    opaque = picture.pixels[picture.pixels[..., 3] >= _OPAQUE][:, :3].astype(np.float64)
    if not len(opaque):
        return []
    keys = (opaque // _CELL).astype(np.int64) @ np.array([256, 16, 1])
    found, inverse, counts = np.unique(keys, return_inverse=True, return_counts=True)
    sums = np.stack([np.bincount(inverse, opaque[:, channel], len(found)) for channel in range(3)], axis=1)
    order = np.argsort(-counts, kind="stable")
    shares = counts / len(opaque)
    return [
        (sums[index] / counts[index], float(shares[index]))
        for index in order
        if shares[index] >= MIN_SHARE_RATIO
    ]


def _palette(subject: Subject) -> Measured | None:
    """The largest distance of a dominant colour to the palette's nearest."""
    if not subject.palette:
        return None
    dominant = dominant_colours(subject.first)
    if not dominant:
        return Measured(100.0, "no colour fills enough of the picture to be called its own")
    palette = to_lab(np.array(subject.palette, np.float64))
    seen = to_lab(np.array([colour for colour, _ in dominant]))
    nearest = [float(delta_e(np.broadcast_to(each, palette.shape), palette).min()) for each in seen]
    worst = int(np.argmax(nearest))
    colour, share = dominant[worst]
    hexadecimal = "#" + "".join(f"{round(channel):02x}" for channel in colour)
    return Measured(nearest[worst], f"{hexadecimal} on {share:.0%} of the picture")


def _variety(subject: Subject) -> Measured:
    """Shannon entropy of the cubes of like colours, in bits: near 0 for one flat colour, 1 for two equal
    areas; a painting has several."""
    opaque = subject.first.pixels[subject.first.pixels[..., 3] >= _OPAQUE][:, :3]
    if not len(opaque):
        return Measured(0.0, "nothing is opaque")
    _, counts = np.unique(opaque // _CELL, axis=0, return_counts=True)
    shares = counts / counts.sum()
    return Measured(float(-(shares * np.log2(shares)).sum()) + 0.0)


CRITERIA = (
    Criterion("palette_delta_e", "CIEDE2000", _palette, most=5.0),
    Criterion("colour_variety", "bits", _variety, least=3.0),
)

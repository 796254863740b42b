"""Is what stands free really free? Alpha that is there and clean, edges that are sharp, nothing cut off."""

import numpy as np
from numpy.typing import NDArray

from audits.criteria.subject import Criterion, Measured, Subject, on_white

_CLEAR = 5
_SOLID = 250
_EDGE_REACH_PX = 2
_MIN_CONTRAST = 24.0
_FLAT = 8.0


def _transparent(subject: Subject) -> Measured:
    """The share of the picture that is see-through; 0 without an alpha channel."""
    if not subject.first.has_alpha:
        return Measured(0.0, "the file has no alpha channel")
    clear = float((subject.first.pixels[..., 3] <= _CLEAR).mean())
    return Measured(clear, "" if clear else "nothing is transparent")


def _haze(subject: Subject) -> Measured:
    """Half-transparent pixels that are no edge, as a share of the picture: an edge's have something solid
    and something clear close by."""
    from scipy import ndimage

    alpha = subject.first.pixels[..., 3]
    size = 2 * _EDGE_REACH_PX + 1
    beside_solid = ndimage.maximum_filter(alpha, size) >= _SOLID
    beside_clear = ndimage.minimum_filter(alpha, size) <= _CLEAR
    partial = (alpha > _CLEAR) & (alpha < _SOLID)
    return Measured(float((partial & ~(beside_solid & beside_clear)).mean()))


def _cut_off(subject: Subject) -> Measured:
    """The share of the border's pixels that are not clear. Of a picture without alpha, those that differ
    from its most frequent border colour."""
    pixels = subject.first.pixels
    border = np.concatenate([pixels[0], pixels[-1], pixels[1:-1, 0], pixels[1:-1, -1]])
    if subject.first.has_alpha and (pixels[..., 3] <= _CLEAR).any():
        touched = border[:, 3] > _CLEAR
    else:
        colours, counts = np.unique(border, axis=0, return_counts=True)
        common = colours[counts.argmax()].astype(np.int16)
        touched = np.abs(border - common).max(axis=1) > _FLAT
    return Measured(float(touched.mean()))


def edge_sharpness(grey: NDArray[np.float64]) -> float | None:
    """How much of an edge's contrast lies between two neighbouring pixels: 1 for a step, 1/2 for an edge
    smoothed over one pixel, less for a blurred one. The median over the pixels of edges, each against the
    contrast of the 7 pixels around it along the axis; None without edges."""
    from scipy import ndimage

    found = []
    for axis in (0, 1):
        if grey.shape[axis] < 2:
            continue
        step = np.abs(np.diff(grey, axis=axis))
        high = ndimage.maximum_filter1d(grey, 7, axis=axis)
        low = ndimage.minimum_filter1d(grey, 7, axis=axis)
        contrast = np.delete(high - low, -1, axis=axis)
        peak = (step == ndimage.maximum_filter1d(step, 7, axis=axis)) & (contrast >= _MIN_CONTRAST)
        found.append(step[peak] / contrast[peak])
    values = np.concatenate(found) if found else np.array([])
    return float(np.median(values)) if len(values) else None


def _sharpness(subject: Subject) -> Measured:
    grey = on_white(subject.first.pixels).astype(np.float64) @ np.array([0.2126, 0.7152, 0.0722])
    value = edge_sharpness(grey)
    return Measured(0.0, "no edges") if value is None else Measured(value)


CRITERIA = (
    Criterion("transparent", "share of the picture", _transparent, least=0.01),
    Criterion("alpha_haze", "share of the picture", _haze, most=0.01),
    Criterion("cut_off", "share of the border", _cut_off, most=0.0),
    Criterion("edge_sharpness", "1 for a step", _sharpness, least=0.3),
)

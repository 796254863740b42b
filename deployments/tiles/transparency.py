"""Colour for transparent pixels, so that enlarging does not draw a halo of whatever lies under them."""

from typing import Any

import numpy as np
import numpy.typing as npt

from deployments.types import Pixels

Floats = npt.NDArray[np.floating[Any]]

BYTES_PER_PIXEL = 4 * (4 + 4 + 4 + 2)
"""What `bled_colours` holds at once, for an input pixel: float copies of all levels of the pyramid."""


def bled_colours(image: Pixels) -> Pixels:
    """RGB of an RGBA image; wholly transparent pixels take the colour of visible ones nearby.

    Push-pull interpolation (Gortler et al., The Lumigraph, 1996): averages weighted by alpha at ever coarser
    sizes, then from coarse to fine wherever nothing finer is known.
    """
    alpha = image[..., 3:].astype(np.float32) / 255
    filled = _pull(image[..., :3] * alpha, alpha)
    bled: Pixels = np.where(
        image[..., 3:] > 0, image[..., :3], np.clip(filled + 0.5, 0, 255).astype(np.uint8)
    )
    return bled


def _pull(weighted: Floats, weight: Floats) -> Floats:
    """Colours of one level: its own where it has weight, else those of the coarser level."""
    known = weighted / np.maximum(weight, 1e-6)
    height, width = weight.shape[:2]
    if height == width == 1 or weight.min() > 0:
        return known
    coarse = _pull(_halved(weighted), _halved(weight))
    return np.where(weight > 0, known, coarse.repeat(2, 0)[:height].repeat(2, 1)[:, :width])


def _halved(level: Floats) -> Floats:
    height, width = level.shape[:2]
    even = np.pad(level, ((0, height % 2), (0, width % 2), (0, 0)))
    halved: Floats = even.reshape((height + 1) // 2, 2, (width + 1) // 2, 2, -1).mean(axis=(1, 3))
    return halved

"""What happens to pictures before a specialist sees them: scaling, JPEG, noise, the marks of generators.

Arrays are RGB uint8, shape (height, width, 3). Every function draws its chance from the `random.Random` or
numpy generator it is given.
"""

import io
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from models.upscaler_training.artwork import Picture

SHARP, LIGHT = 0.5, 0.35
"""Shares of `for_upscaling`: untouched, lightly degraded; the rest is degraded twice."""


def halved(picture: Picture, chance: np.random.Generator) -> Picture:
    """Half the size, mostly by bicubic resampling, at times by area or Lanczos as other software does."""
    kernel = chance.choice(
        [Image.Resampling.BICUBIC, Image.Resampling.BOX, Image.Resampling.LANCZOS], p=[0.6, 0.25, 0.15]
    )
    height, width = picture.shape[:2]
    return np.asarray(Image.fromarray(picture).resize((width // 2, height // 2), Image.Resampling(kernel)))


def for_upscaling(picture: Picture, chance: np.random.Generator) -> Picture:
    """Half are left as they are; the others get the faint marks of files and generators, that an upscaler
    must not enlarge."""
    kind = chance.random()
    if kind < SHARP:
        return picture
    marks = [_blur, _noise, _jpeg]
    count = 1 if kind < SHARP + LIGHT else 2
    for index in sorted(chance.choice(len(marks), count, replace=False)):
        picture = marks[index](picture, chance, 1.0)
    return picture


def for_denoising(picture: Picture, chance: np.random.Generator) -> Picture:
    """What interface art goes through: half-size detours, generator-like grain, JPEG, each with chance, at
    strengths from faint to plainly visible. One in twelve is left as it is: clean art must stay clean."""
    return picture if chance.random() < 1 / 12 else worn(picture, chance)


def worn(picture: Picture, chance: np.random.Generator) -> Picture:
    """At least one of the marks of `for_denoising`."""
    marked = picture
    if chance.random() < 0.4:
        marked = _detour(marked, chance)
    if chance.random() < 0.6:
        marked = _noise(marked, chance, chance.uniform(0.5, 3.0))
    if marked is picture or chance.random() < 0.6:
        marked = jpeg(marked, int(chance.integers(25, 92)), subsampling=int(chance.choice([0, 2])))
    return marked


def _detour(picture: Picture, chance: np.random.Generator) -> Picture:
    """Resampled to 55 to 95% of its size and back."""
    height, width = picture.shape[:2]
    ratio = chance.uniform(0.55, 0.95)
    kernels = [Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS]
    down, up = (Image.Resampling(chance.choice(kernels)) for _ in range(2))
    small = Image.fromarray(picture).resize((max(1, int(width * ratio)), max(1, int(height * ratio))), down)
    return np.asarray(small.resize((width, height), up))


def _blur(picture: Picture, chance: np.random.Generator, strength: float) -> Picture:
    radius = chance.uniform(0.25, 0.6) * strength
    return np.asarray(Image.fromarray(picture).filter(ImageFilter.GaussianBlur(radius)))


def _noise(picture: Picture, chance: np.random.Generator, strength: float) -> Picture:
    """Grain of 1 to 5 levels; half the time smooth over a few pixels, as autoencoders leave it."""
    grain = chance.normal(0, 1, picture.shape)
    smooth = chance.random() < 0.5
    return with_grain(picture, grain, chance.uniform(1, 5) * strength, smooth)


def with_grain(picture: Picture, grain: npt.NDArray[np.floating[Any]], level: float, smooth: bool) -> Picture:
    """Adds normal noise `grain` of the picture's shape at `level` of 255, smoothed over 5 pixels or not."""
    grain = grain.astype(np.float32)
    if smooth:
        grain = _smooth(_smooth(grain))
        grain /= grain.std() + 1e-6
    return np.clip(np.round(picture + grain * level), 0, 255).astype(np.uint8)


def _smooth(grain: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.floating[Any]]:
    grain = (np.roll(grain, 1, 0) + grain + np.roll(grain, -1, 0)) / 3
    smooth: npt.NDArray[np.floating[Any]] = (np.roll(grain, 1, 1) + grain + np.roll(grain, -1, 1)) / 3
    return smooth


def _jpeg(picture: Picture, chance: np.random.Generator, strength: float) -> Picture:
    quality = int(chance.integers(70, 97) - 25 * (strength - 1))
    return jpeg(picture, quality, subsampling=int(chance.choice([0, 2])))


def jpeg(picture: Picture, quality: int, subsampling: int) -> Picture:
    """Through a JPEG file of `quality`; `subsampling` 0 keeps full colour resolution, 2 is 4:2:0."""
    target = io.BytesIO()
    Image.fromarray(picture).save(target, "JPEG", quality=quality, subsampling=subsampling)
    return np.asarray(Image.open(target))

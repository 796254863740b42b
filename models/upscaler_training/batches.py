"""Random crops of the training pictures, mixed by kind, as batches for a network.

Knows augmentation; nothing of degradations or networks.
"""

import numpy as np

from models.upscaler_training import artwork
from models.upscaler_training.artwork import Picture
from models.upscaler_training.pictures import TrainingPictures

Shares = tuple[float, float, float]
"""Of icons, text and flat art; their sum is 1."""


class Crops:
    """An endless stream of square RGB crops. The same generator state gives the same crops."""

    def __init__(self, pictures: TrainingPictures, size: int, shares: Shares) -> None:
        self._kinds = (pictures.icons, pictures.text, pictures.flat)
        self._size = size
        self._shares = shares

    def draw(self, chance: np.random.Generator) -> Picture:
        """Turned, mirrored, at times inverted or with colours exchanged. Plain areas are mostly passed over:
        there is nothing to learn in them."""
        for _ in range(3):
            crop = self._crop(chance)
            if crop.std() > 8:
                break
        return _varied(crop, chance)

    def _crop(self, chance: np.random.Generator) -> Picture:
        kind = self._kinds[int(chance.choice(3, p=self._shares))]
        picture = _at_least(kind[int(chance.integers(len(kind)))], self._size)
        top, left = (int(chance.integers(extent - self._size + 1)) for extent in picture.shape[:2])
        crop = picture[top : top + self._size, left : left + self._size]
        return crop if crop.shape[2] == 3 else artwork.over(crop, _background(chance, self._size))


def _at_least(picture: Picture, size: int) -> Picture:
    """Small icons get a transparent border."""
    short = max(0, size - picture.shape[0])
    border = (short // 2, short - short // 2)
    return np.pad(picture, (border, border, (0, 0))) if short else picture


def _background(chance: np.random.Generator, size: int) -> Picture:
    """White, one colour, or a gradient between two."""
    kind = chance.random()
    if kind < 0.4:
        return np.full((size, size, 3), 255, np.uint8)
    start = chance.integers(0, 256, 3)
    stop = start if kind < 0.75 else chance.integers(0, 256, 3)
    slope = np.linspace(0, 1, size)[:, None, None]
    return np.broadcast_to(start * (1 - slope) + stop * slope, (size, size, 3)).astype(np.uint8)


def _varied(crop: Picture, chance: np.random.Generator) -> Picture:
    crop = np.rot90(crop, int(chance.integers(4)))
    if chance.random() < 0.5:
        crop = crop[:, ::-1]
    if chance.random() < 0.2:
        crop = 255 - crop
    if chance.random() < 0.3:
        crop = crop[..., chance.permutation(3)]
    return np.ascontiguousarray(crop)

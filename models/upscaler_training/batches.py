"""Random crops of the training pictures, mixed by kind, as batches for a network.

Knows augmentation; nothing of degradations or networks.
"""

import numpy as np

from models.upscaler_training import artwork
from models.upscaler_training.artwork import Picture
from models.upscaler_training.pictures import TrainingPictures

SHARES = (0.5, 0.35, 0.15)
"""Of icons, text and flat art."""


class Crops:
    """An endless stream of square RGB crops. The same generator state gives the same crops."""

    def __init__(self, pictures: TrainingPictures, size: int) -> None:
        self._kinds = (pictures.icons, pictures.text, pictures.flat)
        self._size = size

    def draw(self, chance: np.random.Generator) -> Picture:
        """Turned, mirrored, at times inverted or with colours exchanged. Plain areas are mostly passed over:
        there is nothing to learn in them."""
        for _ in range(3):
            crop = self._crop(chance)
            if crop.std() > 8:
                break
        return _varied(crop, chance)

    def _crop(self, chance: np.random.Generator) -> Picture:
        kind = self._kinds[int(chance.choice(3, p=SHARES))]
        picture = kind[int(chance.integers(len(kind)))]
        top, left = (int(chance.integers(extent - self._size + 1)) for extent in picture.shape[:2])
        crop = picture[top : top + self._size, left : left + self._size]
        return crop if crop.shape[2] == 3 else artwork.over(crop, _background(chance, self._size))


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

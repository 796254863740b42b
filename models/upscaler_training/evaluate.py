"""How much better than a baseline a network is, in decibels, on held-out pictures.

PSNR over all RGB pixels after rounding to 8 bits, borders included, averaged over pictures.
"""

import math
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from deployments.tiles.work import TileWork
from models.upscaler_training.artwork import Picture

Restorer = Callable[[Picture], Picture]


def through(work: TileWork) -> Picture:
    """The output, by the steps that a deployment takes."""
    for _ in work.steps():
        pass
    return work.output


def non_local_means(worn: Picture, strength: int) -> Picture:
    """OpenCV's, in colour, with its default windows (7, 21). `strength` 10 is the one its documents give."""
    cleaned: Any = cv2.fastNlMeansDenoisingColored(
        np.ascontiguousarray(worn), None, strength, strength, 7, 21
    )
    return np.asarray(cleaned, np.uint8)


def psnr(picture: Picture, truth: Picture) -> float:
    """Decibels; two equal pictures count as 60."""
    error = float(np.mean((picture.astype(np.float64) - truth) ** 2))
    return min(60.0, 10 * math.log10(255**2 / max(error, 1e-9)))


def table(restorers: dict[str, Restorer], sets: dict[str, list[tuple[Picture, Picture]]]) -> str:
    """Markdown: a row for a set, a column for a restorer, and the gain of the last over the first.

    A pair that is in several sets is restored once.
    """
    names = list(restorers)
    pairs_by_id = {id(pair): pair for pairs in sets.values() for pair in pairs}
    known = {
        name: {key: psnr(restore(picture), truth) for key, (picture, truth) in pairs_by_id.items()}
        for name, restore in restorers.items()
    }
    lines = ["| held-out set | pictures | " + " | ".join(names) + " | gain |"]
    lines.append("|---" * (len(names) + 3) + "|")
    for title, pairs in sets.items():
        scores = [float(np.mean([known[name][id(pair)] for pair in pairs])) for name in names]
        cells = " | ".join(f"{score:.2f}" for score in scores)
        lines.append(f"| {title} | {len(pairs)} | {cells} | {scores[-1] - scores[0]:+.2f} dB |")
    return "\n".join(lines)

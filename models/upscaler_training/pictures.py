"""The pictures that networks learn from, drawn once and kept, and the held-out ones they are judged by.

Knows sizes and counts; nothing of degradations or networks.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from models.upscaler_training import artwork, places, sources
from models.upscaler_training.artwork import Picture

ICON_SIZES: Final = (64, 96, 128, 160)
TEXT_PANELS: Final = 3000
FLAT_PANELS: Final = 2000
PANEL: Final = 160


@dataclass(frozen=True, slots=True)
class TrainingPictures:
    """`icons` are RGBA and are put on a background when they are used; `panels` are RGB."""

    icons: list[Picture]
    text: list[Picture]
    flat: list[Picture]


def training() -> TrainingPictures:
    """Drawn on the first call (about three minutes), then read from `places.PICTURES`."""
    return TrainingPictures(
        icons=_kept("icons", _draw_icons),
        text=_kept("text", lambda: _draw_panels("text")),
        flat=_kept("flat", lambda: _draw_panels("flat")),
    )


def held_out_icons(size: int = 128) -> dict[str, list[Picture]]:
    """RGB icons over backgrounds, none of them in `training()`: by other artists, and unseen names."""
    chance = random.Random(1)
    unseen = sources.UNSEEN_ICON_SET.name
    by_others = [(unseen, slug) for slug in sorted(sources.icon_set(unseen)["icons"])]
    chosen = {
        "flat-color-icons": chance.sample(by_others, 100),
        "unseen names": chance.sample(sources.trained_icons("held_out"), 100),
    }
    return {
        group: [artwork.over(artwork.icon(*name, size), artwork.colour(chance)) for name in names]
        for group, names in chosen.items()
    }


def held_out_text(count: int = 100) -> list[Picture]:
    """RGB panels of 256 x 96 px in unseen fonts and words."""
    chance = random.Random(2)
    words, fonts = sources.words("held_out"), sources.font_files("held_out")
    return [artwork.text(words, fonts, chance, 256, 96) for _ in range(count)]


def held_out_flat(count: int = 60) -> list[Picture]:
    """RGB panels of interface art, 128 x 128 px, with unseen fonts and words."""
    chance = random.Random(3)
    words, fonts = sources.words("held_out"), sources.font_files("held_out")
    return [artwork.flat_art(words, fonts, chance, 128) for _ in range(count)]


def _draw_icons() -> list[Picture]:
    names = sources.trained_icons("train")
    return [artwork.icon(*name, ICON_SIZES[index % len(ICON_SIZES)]) for index, name in enumerate(names)]


def _draw_panels(kind: str) -> list[Picture]:
    chance = random.Random(f"train {kind}")
    words, fonts = sources.words("train"), sources.font_files("train")
    if kind == "text":
        return [artwork.text(words, fonts, chance, PANEL, PANEL) for _ in range(TEXT_PANELS)]
    return [artwork.flat_art(words, fonts, chance, PANEL) for _ in range(FLAT_PANELS)]


def _kept(name: str, draw: Callable[[], list[Picture]]) -> list[Picture]:
    """One array per picture size, so that a file of thousands of pictures reads in a second."""
    path = places.PICTURES / f"{name}.npz"
    if not path.exists():
        by_size: dict[str, list[Picture]] = {}
        for picture in draw():
            by_size.setdefault(str(picture.shape[0]), []).append(picture)
        path.parent.mkdir(parents=True, exist_ok=True)
        arrays: dict[str, Any] = {size: np.stack(group) for size, group in by_size.items()}
        np.savez(path, **arrays)
    with np.load(path) as stored:
        return [picture for size in stored.files for picture in stored[size]]


if __name__ == "__main__":
    drawn = training()
    print(f"{len(drawn.icons)} icons, {len(drawn.text)} text panels, {len(drawn.flat)} flat panels")

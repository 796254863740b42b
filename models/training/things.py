"""What the default model draws: things, styles and colours, and the words for them.

Pure data. Knows nothing of icon files, pictures or networks.
"""

from pathlib import Path
from typing import Final

STYLES: Final[dict[str, str]] = {
    "cartoon": "noto",
    "flat": "fluent-emoji-flat",
    "glossy": "fluent-emoji",
}
"""Style word of a caption -> icon set (the npm package `@iconify-json/<set>`)."""

Rgb = tuple[int, int, int]

BACKGROUNDS: Final[dict[str, Rgb]] = {
    "white": (255, 255, 255),
    "black": (24, 24, 27),
    "grey": (150, 152, 158),
    "red": (225, 62, 66),
    "orange": (246, 140, 50),
    "yellow": (255, 217, 74),
    "green": (88, 182, 92),
    "teal": (38, 166, 164),
    "blue": (62, 126, 240),
    "purple": (140, 86, 204),
    "pink": (250, 164, 196),
    "brown": (134, 88, 56),
}
"""Background word -> sRGB, 0..255."""

DEFAULT_BACKGROUND: Final = "white"

PAINTS: Final[dict[str, float]] = {
    "red": 0.0,
    "orange": 28.0,
    "yellow": 50.0,
    "green": 125.0,
    "blue": 215.0,
    "purple": 272.0,
    "pink": 332.0,
}
"""Colour word for the thing itself -> hue in degrees."""

PAINTABLE: Final = frozenset(
    [
        "automobile",
        "balloon",
        "t-shirt",
        "dress",
        "rose",
        "tulip",
        "butterfly",
        "tropical-fish",
        "closed-book",
        "umbrella",
        "wrapped-gift",
        "red-heart",
        "star",
        "kite",
        "teapot",
        "backpack",
        "octopus",
        "parrot",
        "crayon",
        "high-heeled-shoe",
        "handbag",
        "cupcake",
        "cherry-blossom",
        "gem-stone",
        "crab",
        "guitar",
        "mushroom",
    ]
)
"""Things also drawn in every colour of `PAINTS`."""

SIDED: Final = frozenset(
    [
        "check-mark-button",
        "cross-mark",
        "yin-yang",
        "recycling-symbol",
        "game-die",
        "alarm-clock",
        "watch",
        "musical-note",
        "calendar",
        "high-voltage",
        "stop-sign",
        "battery",
        "floppy-disk",
        "microscope",
        "guitar",
        "violin",
        "scissors",
        "compass",
        "globe-showing-europe-africa",
        "musical-keyboard",
        "radioactive",
        "saxophone",
        "crescent-moon",
        "thinking-face",
        "hourglass-done",
    ]
)
"""Things that a mirror would draw wrong: never flipped."""


def thing_words() -> dict[str, tuple[str, ...]]:
    """Icon slug -> its name, then synonyms, in the order of `things.txt`. No word names two things."""
    lines = (Path(__file__).parent / "things.txt").read_text(encoding="utf-8").splitlines()
    return {slug: tuple(words.split(", ")) for slug, words in (line.split(" = ") for line in lines)}

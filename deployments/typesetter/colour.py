"""Colours: names and hex to sRGB, WCAG 2.2 contrast, and the ink that reads on a fill.

Formulas: relative luminance and contrast ratio from WCAG 2.2; OKLab from Björn Ottosson (2020).
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from PIL import ImageColor

AA_CONTRAST_RATIO = 4.5

_HEX = re.compile(r"#(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})")


@dataclass(frozen=True, slots=True)
class Colour:
    """sRGB, 0..255 a channel."""

    red: int
    green: int
    blue: int

    @property
    def hex(self) -> str:
        return f"#{self.red:02x}{self.green:02x}{self.blue:02x}"

    @property
    def luminance(self) -> float:
        """0 (black) to 1 (white)."""
        red, green, blue = (_to_linear(channel / 255) for channel in (self.red, self.green, self.blue))
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue


WHITE = Colour(255, 255, 255)
BLACK = Colour(0, 0, 0)
INK = Colour(15, 18, 28)

# What people mean on an interface by a plain colour name; any other CSS name keeps its CSS value.
INTERFACE_COLOURS: Mapping[str, Colour] = {
    "red": Colour(214, 40, 57),
    "orange": Colour(240, 120, 20),
    "amber": Colour(245, 166, 35),
    "yellow": Colour(250, 204, 21),
    "lime": Colour(132, 204, 22),
    "green": Colour(18, 135, 73),
    "emerald": Colour(5, 130, 95),
    "mint": Colour(110, 220, 175),
    "teal": Colour(13, 125, 120),
    "cyan": Colour(14, 165, 200),
    "sky": Colour(56, 170, 240),
    "blue": Colour(29, 98, 220),
    "navy": Colour(20, 38, 92),
    "indigo": Colour(74, 66, 200),
    "violet": Colour(118, 64, 214),
    "purple": Colour(128, 50, 180),
    "magenta": Colour(200, 30, 140),
    "pink": Colour(236, 88, 150),
    "rose": Colour(225, 45, 90),
    "coral": Colour(250, 110, 90),
    "brown": Colour(120, 74, 44),
    "gold": Colour(222, 165, 40),
    "silver": Colour(190, 197, 207),
    "cream": Colour(252, 245, 228),
    "beige": Colour(236, 224, 200),
    "gray": Colour(100, 108, 122),
    "grey": Colour(100, 108, 122),
    "slate": Colour(60, 72, 92),
    "charcoal": Colour(40, 44, 54),
    "black": Colour(18, 20, 26),
    "white": WHITE,
}


def named_colours() -> frozenset[str]:
    """Every name `parse_colour` takes, lower case."""
    return frozenset(INTERFACE_COLOURS) | frozenset(ImageColor.colormap)


def parse_colour(value: str, tokens: Mapping[str, Colour] | None = None) -> Colour:
    """`value` is a token of a brand's palette, `#rgb`, `#rrggbb`, or a colour name. Raises ValueError."""
    name = value.strip().lower()
    if tokens and name in tokens:
        return tokens[name]
    if name in INTERFACE_COLOURS:
        return INTERFACE_COLOURS[name]
    if _HEX.fullmatch(name) or name in ImageColor.colormap:
        return Colour(*ImageColor.getrgb(name)[:3])
    known = ", ".join([*sorted(tokens or ()), *INTERFACE_COLOURS])
    raise ValueError(f"unknown colour {value!r}: use #rrggbb, a CSS colour name, or one of {known}")


def contrast_ratio(one: Colour, other: Colour) -> float:
    """1 (the same) to 21 (black on white); WCAG 2.2."""
    darker, lighter = sorted((one.luminance, other.luminance))
    return (lighter + 0.05) / (darker + 0.05)


def worst_contrast(ink: Colour, fills: Iterable[Colour]) -> float:
    return min(contrast_ratio(ink, fill) for fill in fills)


def readable_ink(
    fills: Sequence[Colour], preferred: Sequence[Colour] = (WHITE, INK), ratio: float = AA_CONTRAST_RATIO
) -> Colour:
    """The first of `preferred` that reaches `ratio` on every fill; else the best, white and black included.

    On one fill white or black always reaches 4.5. On several far apart nothing may: callers check.
    """
    for ink in preferred:
        if worst_contrast(ink, fills) >= ratio:
            return ink
    return max((*preferred, WHITE, BLACK), key=lambda ink: worst_contrast(ink, fills))


def adjusted_ink(ink: Colour, fills: Sequence[Colour], ratio: float = AA_CONTRAST_RATIO) -> Colour:
    """`ink`, moved in lightness no further than needed to reach `ratio` on every fill, hue kept."""
    if worst_contrast(ink, fills) >= ratio:
        return ink
    steps = sorted((step / 50 for step in range(51)), key=lambda lightness: abs(lightness - _oklch(ink)[0]))
    for lightness in steps:
        candidate = with_lightness(ink, lightness)
        if worst_contrast(candidate, fills) >= ratio:
            return candidate
    return readable_ink(fills)


def mix(one: Colour, other: Colour, share: float) -> Colour:
    """`share` of `other` (0..1) over `one`, in sRGB: what alpha blending in an SVG gives."""

    def blend(a: int, b: int) -> int:
        return round(a + (b - a) * share)

    return Colour(blend(one.red, other.red), blend(one.green, other.green), blend(one.blue, other.blue))


def with_lightness(colour: Colour, lightness: float) -> Colour:
    """The same hue at OKLab lightness 0..1; chroma is reduced where sRGB cannot show it."""
    _, chroma, hue = _oklch(colour)
    for share in (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1):
        shown = _from_oklch(lightness, chroma * share, hue)
        if shown is not None:
            return shown
    grey = round(255 * _from_linear(min(1.0, max(0.0, lightness)) ** 3))
    return Colour(grey, grey, grey)


def lighter(colour: Colour, amount: float) -> Colour:
    """`amount` (-1..1) is added to OKLab lightness."""
    return with_lightness(colour, min(1.0, max(0.0, _oklch(colour)[0] + amount)))


def _to_linear(value: float) -> float:
    return value / 12.92 if value <= 0.04045 else float(((value + 0.055) / 1.055) ** 2.4)


def _from_linear(value: float) -> float:
    return value * 12.92 if value <= 0.0031308 else float(1.055 * value ** (1 / 2.4) - 0.055)


def _oklch(colour: Colour) -> tuple[float, float, float]:
    red, green, blue = (_to_linear(channel / 255) for channel in (colour.red, colour.green, colour.blue))
    long = math.cbrt(0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue)
    medium = math.cbrt(0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue)
    short = math.cbrt(0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue)
    lightness = 0.2104542553 * long + 0.7936177850 * medium - 0.0040720468 * short
    a = 1.9779984951 * long - 2.4285922050 * medium + 0.4505937099 * short
    b = 0.0259040371 * long + 0.7827717662 * medium - 0.8086757660 * short
    return lightness, math.hypot(a, b), math.atan2(b, a)


def _from_oklch(lightness: float, chroma: float, hue: float) -> Colour | None:
    a, b = chroma * math.cos(hue), chroma * math.sin(hue)
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    channels = (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )
    tolerance = 1e-3
    if any(channel < -tolerance or channel > 1 + tolerance for channel in channels):
        return None
    red, green, blue = (round(255 * _from_linear(min(1.0, max(0.0, channel)))) for channel in channels)
    return Colour(red, green, blue)

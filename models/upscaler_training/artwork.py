"""Draws what the specialists are made for: icons, rendered text, flat interface art.

Every function is a function of its arguments and of the `random.Random` it is given. Knows resvg and Pillow;
nothing of training.
"""

import io
import random
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import resvg_py
from PIL import Image, ImageDraw, ImageFont

from models.upscaler_training import sources

Picture = npt.NDArray[np.uint8]
"""RGB or RGBA, shape (height, width, 3 or 4)."""

Colour = tuple[int, int, int]

SYMBOLS: Final = (
    "50%",
    "-20%",
    "$9.99",
    "24/7",
    "v2.1",
    "#1",
    "100+",
    "3,200",
    "12:45",
    "A+",
    "&",
    "4.8",
    "@2x",
    "NEW!",
    "OK?",
)


def icon(set_name: str, slug: str, size: int) -> Picture:
    """RGBA, `size` x `size`."""
    icons = sources.icon_set(set_name)
    drawing = icons["icons"][slug]
    width = drawing.get("width", icons.get("width", 16))
    height = drawing.get("height", icons.get("height", 16))
    view = f"{drawing.get('left', 0)} {drawing.get('top', 0)} {width} {height}"
    return _svg(drawing["body"], view, size, size)


def over(picture: Picture, background: Picture | Colour) -> Picture:
    """RGBA over a colour or over RGB pixels of the same size, as RGB."""
    alpha = picture[..., 3:].astype(np.float32) / 255
    mixed = picture[..., :3] * alpha + np.asarray(background, np.float32) * (1 - alpha)
    return np.round(mixed).astype(np.uint8)


def colour(chance: random.Random) -> Colour:
    """White, near-black, grey or any colour, in the shares in which interfaces use them as backgrounds."""
    kind = chance.random()
    if kind < 0.35:
        return (255, 255, 255)
    if kind < 0.5:
        grey = chance.randint(0, 40)
        return (grey, grey, min(255, grey + chance.randint(0, 12)))
    if kind < 0.65:
        grey = chance.randint(60, 250)
        return (grey, grey, grey)
    return (chance.randint(0, 255), chance.randint(0, 255), chance.randint(0, 255))


def contrasting(background: Colour, chance: random.Random) -> Colour:
    """A colour at least 90 luma levels away from `background`."""
    while True:
        candidate = colour(chance) if chance.random() < 0.7 else chance.choice([(0, 0, 0), (255, 255, 255)])
        if abs(luma(candidate) - luma(background)) >= 90:
            return candidate


def luma(rgb: Colour) -> float:
    return 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]


def phrase(words: list[str], chance: random.Random) -> str:
    """One to four words, numbers or symbols, in a case that interfaces use."""
    parts = [
        chance.choice(SYMBOLS) if chance.random() < 0.2 else chance.choice(words)
        for _ in range(chance.randint(1, 4))
    ]
    case = chance.choice((str.upper, str.title, str.lower, str.capitalize))
    return case(" ".join(parts))


def text(words: list[str], fonts: list[Path], chance: random.Random, width: int, height: int) -> Picture:
    """RGB: lines of text that fill a panel of one colour, from 9 px up to a third of the panel's height."""
    paper = colour(chance)
    panel = Image.new("RGB", (width, height), paper)
    draw = ImageDraw.Draw(panel)
    top = chance.uniform(-4, 6)
    while top < height:
        size = round(9 * (height / 27) ** chance.random())
        font = ImageFont.truetype(str(chance.choice(fonts)), size)
        line = phrase(words, chance)
        while draw.textlength(line, font) < width * 0.8:
            line += " " + phrase(words, chance)
        draw.text((chance.uniform(-3, 8), top), line, contrasting(paper, chance), font)
        top += size * chance.uniform(1.15, 1.5)
    return np.asarray(panel)


def flat_art(words: list[str], fonts: list[Path], chance: random.Random, size: int) -> Picture:
    """RGB: buttons, cards, gradients, lines and a caption, as interfaces and posters hold them."""
    shapes = "".join(chance.choice(_SHAPES)(chance, size, index) for index in range(chance.randint(4, 9)))
    backdrop = _svg(_gradient(chance, "g", size, size) + shapes, f"0 0 {size} {size}", size, size)
    panel = Image.fromarray(over(backdrop, colour(chance)))
    font = ImageFont.truetype(str(chance.choice(fonts)), chance.randint(10, size // 5))
    place = (chance.uniform(0, size / 3), chance.uniform(0, size * 0.8))
    ImageDraw.Draw(panel).text(place, phrase(words, chance), colour(chance), font)
    return np.asarray(panel)


def _svg(body: str, view: str, width: int, height: int) -> Picture:
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'width="{width}" height="{height}" viewBox="{view}">{body}</svg>'
    )
    png = bytes(resvg_py.svg_to_bytes(svg_string=svg, width=width, height=height, skip_system_fonts=True))
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGBA"))


def _hex(chance: random.Random) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour(chance))


def _gradient(chance: random.Random, name: str, width: int, height: int) -> str:
    return (
        f'<linearGradient id="{name}" x2="{chance.random():.2f}" y2="{chance.random():.2f}">'
        f'<stop stop-color="{_hex(chance)}"/><stop offset="1" stop-color="{_hex(chance)}"/></linearGradient>'
        f'<rect width="{width}" height="{height}" fill="url(#{name})"/>'
    )


def _box(chance: random.Random, size: int, _index: int) -> str:
    width, height = chance.uniform(0.1, 0.7) * size, chance.uniform(0.05, 0.4) * size
    x, y = chance.uniform(-0.1, 0.8) * size, chance.uniform(-0.1, 0.8) * size
    radius = chance.choice((0.0, 4.0, 8.0, height / 2))
    if chance.random() < 0.4:
        x, y, width, height = round(x), round(y), round(width), round(height)
    stroke = (
        f'stroke="{_hex(chance)}" stroke-width="{chance.choice((1, 1.5, 2, 4))}"'
        if chance.random() < 0.5
        else ""
    )
    fill = "none" if stroke and chance.random() < 0.4 else _hex(chance)
    return f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="{radius}" fill="{fill}" {stroke}/>'


def _ellipse(chance: random.Random, size: int, _index: int) -> str:
    radius = chance.uniform(0.02, 0.3) * size
    return (
        f'<ellipse cx="{chance.uniform(0, size)}" cy="{chance.uniform(0, size)}" rx="{radius}" '
        f'ry="{radius * chance.choice((1, 1, 0.6))}" fill="{_hex(chance)}"/>'
    )


def _line(chance: random.Random, size: int, _index: int) -> str:
    points = " ".join(
        f"{chance.uniform(0, size):.1f},{chance.uniform(0, size):.1f}" for _ in range(chance.randint(2, 5))
    )
    width = chance.choice((1, 1.5, 2, 3, 6))
    style = f'fill="none" stroke="{_hex(chance)}" stroke-width="{width}" stroke-linejoin="round"'
    return f'<polyline points="{points}" {style}/>'


def _polygon(chance: random.Random, size: int, _index: int) -> str:
    x, y, reach = chance.uniform(0, size), chance.uniform(0, size), size * 0.25
    points = " ".join(
        f"{x + chance.uniform(-reach, reach):.1f},{y + chance.uniform(-reach, reach):.1f}"
        for _ in range(chance.randint(3, 7))
    )
    return f'<polygon points="{points}" fill="{_hex(chance)}" fill-opacity="{chance.choice((1, 1, 0.5))}"/>'


_SHAPES: Final = (_box, _box, _box, _ellipse, _line, _polygon)

"""Icons drawn once at many places and sizes, in every style and colour, and kept as 64 px RGBA.

`python -m models.training.pictures` draws them (about two minutes). Knows resvg and colour spaces; nothing of
captions or networks.
"""

import random
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import resvg_py
from PIL import Image

from models.training import packages, places
from models.training.things import PAINTABLE, PAINTS, STYLES, thing_words

SIZE_PX: Final = 64
PLACEMENTS: Final = 8
"""Drawings of each icon: the first one centred, the others moved and scaled by chance."""
CLASSIFIER_TEST_SET: Final = "noto-v1"

Rgba = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Drawing:
    """A thing in a style and, if painted, in a colour word of `PAINTS`."""

    thing: str
    style: str
    paint: str | None


def all_drawings() -> list[Drawing]:
    """Every drawing, in the order in which `load` returns their pixels."""
    return [
        Drawing(thing, style, paint)
        for thing in thing_words()
        for style in STYLES
        for paint in (None, *(PAINTS if thing in PAINTABLE else ()))
    ]


def draw(set_name: str, thing: str, scale: float = 1.0, dx: float = 0.0, dy: float = 0.0) -> Rgba:
    """RGBA [64, 64, 4] of an icon; `scale` of the full canvas, moved by `dx`, `dy` of the canvas' width."""
    icons = _icons(set_name)
    slug = icons["aliases"][thing]["parent"] if thing not in icons["icons"] else thing
    icon = icons["icons"][slug]
    width, height = icon.get("width", icons["width"]), icon.get("height", icons["height"])
    extent = max(width, height) / scale
    left = icon.get("left", 0) + width / 2 - extent * (0.5 + dx)
    top = icon.get("top", 0) + height / 2 - extent * (0.5 + dy)
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'width="{SIZE_PX}" height="{SIZE_PX}" viewBox="{left} {top} {extent} {extent}">{icon["body"]}</svg>'
    )
    png = bytes(resvg_py.svg_to_bytes(svg_string=svg, width=SIZE_PX, height=SIZE_PX))
    return np.asarray(Image.open(BytesIO(png)).convert("RGBA"))


def paint(picture: Rgba, hue_degrees: float) -> Rgba:
    """Turns the dominant hue, and what lies within 50 degrees of it, to `hue_degrees`; all else stays."""
    hsv = np.asarray(Image.fromarray(picture[..., :3]).convert("HSV")).astype(np.float32)
    hue = hsv[..., 0] * (2 * np.pi / 256)
    weight = hsv[..., 1] * hsv[..., 2] * (picture[..., 3] / 255)
    bins = np.bincount((hsv[..., 0].astype(int) // 8).ravel(), weights=weight.ravel(), minlength=32)
    smooth = bins + np.roll(bins, 1) + np.roll(bins, -1)
    near = np.abs(np.angle(np.exp(1j * (hue - (smooth.argmax() + 0.5) * 2 * np.pi / 32)))) < np.pi / 6
    dominant = np.angle((weight * near * np.exp(1j * hue)).sum())
    off = np.angle(np.exp(1j * (hue - dominant)))
    painted_hue = np.where(np.abs(off) < np.radians(50), off + np.radians(hue_degrees), hue)
    turned = np.round(painted_hue % (2 * np.pi) * 256 / (2 * np.pi)) % 256
    painted = Image.fromarray(
        np.stack([turned, hsv[..., 1], hsv[..., 2]], -1).astype(np.uint8), mode="HSV"
    ).convert("RGB")
    return np.concatenate([np.asarray(painted), picture[..., 3:]], -1)


def compose(pictures: npt.NDArray[Any], backgrounds: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """RGBA [n, 64, 64, 4] over colours [n, 3] -> RGB [n, 3, 64, 64] in -1..1."""
    alpha = pictures[..., 3:].astype(np.float32) / 255
    mixed = pictures[..., :3] * alpha + backgrounds[:, None, None, :] * (1 - alpha)
    return np.ascontiguousarray((mixed / 127.5 - 1).transpose(0, 3, 1, 2), dtype=np.float32)


@cache
def _icons(set_name: str) -> dict[str, Any]:
    return packages.icon_set(set_name)


def _placements(drawing_seed: str) -> list[tuple[float, float, float]]:
    chance = random.Random(drawing_seed)
    placements = [(0.92, 0.0, 0.0)]
    while len(placements) < PLACEMENTS:
        scale = chance.uniform(0.78, 0.98)
        room = (1 - scale) / 2
        placements.append((scale, chance.uniform(-room, room), chance.uniform(-room, room)))
    return placements


def draw_all() -> npt.NDArray[np.uint8]:
    """uint8 [drawings, PLACEMENTS, 64, 64, 4]."""
    drawings = all_drawings()
    pixels = np.empty((len(drawings), PLACEMENTS, SIZE_PX, SIZE_PX, 4), np.uint8)
    for index, drawing in enumerate(drawings):
        for place, (scale, dx, dy) in enumerate(_placements(f"{drawing.thing}/{drawing.style}")):
            if drawing.paint is None:
                pixels[index, place] = draw(STYLES[drawing.style], drawing.thing, scale, dx, dy)
                natural = index
            else:
                pixels[index, place] = paint(pixels[natural, place], PAINTS[drawing.paint])
    return pixels


def load() -> npt.NDArray[np.uint8]:
    """The pixels of `all_drawings()`, drawn on the first call and kept in `places.PICTURES`."""
    if not places.PICTURES.exists():
        places.TRAINING_DIR.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(places.PICTURES, pixels=draw_all())
    with np.load(places.PICTURES) as stored:
        pixels: npt.NDArray[np.uint8] = stored["pixels"]
    if len(pixels) != len(all_drawings()):
        raise ValueError(f"{places.PICTURES} was drawn for another list of things; delete it")
    return pixels


if __name__ == "__main__":
    print(f"{places.PICTURES}: {load().shape}")

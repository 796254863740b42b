"""A picture made of shapes and one block of text, and its SVG.

Text is written as outlines: an SVG looks the same with any renderer and any fonts installed.
"""

import itertools
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from xml.sax.saxutils import escape

from deployments.typesetter.colour import Colour, mix
from deployments.typesetter.fitting import Block, SetLine


@dataclass(frozen=True, slots=True)
class Rect:
    """Pixels, y downwards."""

    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        return self.x + self.width

    @property
    def bottom(self) -> float:
        return self.y + self.height

    @property
    def center(self) -> tuple[float, float]:
        return self.x + self.width / 2, self.y + self.height / 2

    def inset(self, horizontal: float, vertical: float | None = None) -> "Rect":
        vertical = horizontal if vertical is None else vertical
        return Rect(
            self.x + horizontal, self.y + vertical, self.width - 2 * horizontal, self.height - 2 * vertical
        )

    def whole_pixels(self) -> "Rect":
        """The largest rectangle inside with sides on whole pixels: what fits it covers no pixel outside."""
        left, top = math.ceil(self.x), math.ceil(self.y)
        return Rect(left, top, math.floor(self.right) - left, math.floor(self.bottom) - top)


@dataclass(frozen=True, slots=True)
class PlacedBlock:
    block: Block
    x: float
    y: float
    inks: Mapping[str, Colour]


@dataclass(frozen=True, slots=True)
class Scene:
    """`safe_area` is where text ink must stay; `fills` every colour that may lie under text."""

    width: int
    height: int
    page: Colour | None
    shapes: tuple[str, ...]
    text: PlacedBlock
    safe_area: Rect
    fills: tuple[Colour, ...]


def to_svg(
    scene: Scene, *, page: Colour | None = None, picture_href: str | None = None, with_text: bool = True
) -> str:
    """`page` is painted where the scene has none of its own; `picture_href` is a data URI below it all."""
    size = f'width="{scene.width}" height="{scene.height}"'
    view = f'viewBox="0 0 {scene.width} {scene.height}"'
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" {size} {view} role="img">']
    parts.append(f"<title>{escape(' '.join(line.shaped.text for line in scene.text.block.lines))}</title>")
    ground = scene.page or page
    if ground is not None:
        parts.append(f'<rect {size} fill="{ground.hex}"/>')
    if picture_href is not None:
        parts.append(f'<image {size} href="{picture_href}"/>')
    parts += scene.shapes
    if with_text:
        parts += [_line_svg(line, scene.text) for line in scene.text.block.lines]
    parts.append("</svg>")
    return "\n".join(parts)


def shifted(scene: Scene, x: float, y: float, width: int, height: int) -> Scene:
    """`scene` as a part of a larger canvas, its corner at (x, y)."""
    moved = (f'<g transform="translate({x:.2f} {y:.2f})">', *scene.shapes, "</g>")
    text = replace(scene.text, x=scene.text.x + x, y=scene.text.y + y)
    safe = scene.safe_area
    safe_area = Rect(safe.x + x, safe.y + y, safe.width, safe.height)
    return Scene(width, height, None, moved, text, safe_area, scene.fills)


def ink_box(text: PlacedBlock) -> Rect:
    """What the outlines of the text cover."""
    boxes = []
    for line in text.block.lines:
        ink = line.shaped.ink
        left, right = text.x + line.x + ink.left * line.size, text.x + line.x + ink.right * line.size
        top, bottom = text.y + line.y - ink.top * line.size, text.y + line.y - ink.bottom * line.size
        boxes.append((left, top, right, bottom))
    left, top = min(box[0] for box in boxes), min(box[1] for box in boxes)
    right, bottom = max(box[2] for box in boxes), max(box[3] for box in boxes)
    return Rect(left, top, right - left, bottom - top)


def rounded_rect(rect: Rect, radius: float, fill: str, more: str = "") -> str:
    return (
        f'<rect x="{rect.x:.2f}" y="{rect.y:.2f}" width="{rect.width:.2f}" height="{rect.height:.2f}" '
        f'rx="{min(radius, rect.width / 2, rect.height / 2):.2f}" fill="{fill}"{" " + more if more else ""}/>'
    )


def gradient(name: str, top: Colour, bottom: Colour) -> str:
    return (
        f'<defs><linearGradient id="{name}" x1="0" y1="0" x2="0" y2="1">'
        f'<stop offset="0" stop-color="{top.hex}"/><stop offset="1" stop-color="{bottom.hex}"/>'
        "</linearGradient></defs>"
    )


def ground(width: int, height: int, top: Colour, bottom: Colour) -> str:
    """The canvas from `top` to `bottom` in steps too small to see, which draw far faster than a gradient."""
    channels = ((top.red, bottom.red), (top.green, bottom.green), (top.blue, bottom.blue))
    steps = max(1, min(height, 2 * max(abs(one - other) for one, other in channels)))
    edges = [round(height * step / steps) for step in range(steps + 1)]
    bands = []
    for step, (start, end) in enumerate(itertools.pairwise(edges)):
        fill = mix(top, bottom, step / steps).hex
        bands.append(f'<rect y="{start}" width="{width}" height="{end - start}" fill="{fill}"/>')
    return "".join(bands)


def shadow(outline: str, depth: float) -> str:
    """A soft shadow around `outline` (an unfilled element): a few wide strokes, far cheaper than a blur."""
    layers = 4
    strokes = [
        f'<g stroke-width="{2 * depth * layer / layers * 0.8:.2f}">{outline}</g>'
        for layer in range(layers, 0, -1)
    ]
    more = 'stroke="#0a1020" stroke-opacity="0.06" stroke-linejoin="round"'
    return f'<g transform="translate(0 {depth * 0.5:.2f})" {more}>{"".join(strokes)}</g>'


def icon_svg(body: str, rect: Rect, colour: Colour, view_box: float) -> str:
    scale = rect.width / view_box
    place = f"translate({rect.x:.2f} {rect.y:.2f}) scale({scale:.4f})"
    return f'<g transform="{place}">{body.replace("currentColor", colour.hex)}</g>'


def nested_svg(svg: str, rect: Rect) -> str:
    """`svg` fitted into `rect`, its own size ignored."""
    tag = re.match(r"<svg\b[^>]*>", svg)
    if tag is None:
        return ""
    attributes = re.sub(
        r"\s(?:x|y|width|height|preserveAspectRatio)=(?:\"[^\"]*\"|'[^']*')", "", tag.group(0)[4:-1]
    )
    place = f'x="{rect.x:.2f}" y="{rect.y:.2f}" width="{rect.width:.2f}" height="{rect.height:.2f}"'
    return f'<svg {place} preserveAspectRatio="xMinYMid meet"{attributes}>{svg[tag.end() :]}'


def _line_svg(line: SetLine, text: PlacedBlock) -> str:
    origin = f"translate({text.x + line.x:.3f} {text.y + line.y:.3f})"
    drawn = []
    for glyph in line.shaped.glyphs:
        if outline := glyph.font.outline(glyph.glyph_id):
            scale = line.size / glyph.font.units_per_em
            x, y = glyph.x * line.size, -glyph.y * line.size
            place = f"translate({x:.3f} {y:.3f}) scale({scale:.6f} {-scale:.6f})"
            drawn.append(f'<path transform="{place}" d="{outline}"/>')
    return f'<g fill="{text.inks[line.role].hex}" transform="{origin}">{"".join(drawn)}</g>'

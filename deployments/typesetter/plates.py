"""Shapes that hug their words: badge, pill, button and label, in the middle of the canvas or at an anchor."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from deployments import errors
from deployments.typesetter.colour import WHITE, Colour, lighter
from deployments.typesetter.fitting import Block, Paragraph, fit
from deployments.typesetter.icons import VIEW_BOX
from deployments.typesetter.layout import Anchor, Kind
from deployments.typesetter.scene import PlacedBlock, Rect, Scene, gradient, icon_svg, rounded_rect, shadow
from deployments.typesetter.style import Style, inks


@dataclass(frozen=True, slots=True)
class _Proportions:
    """Of the canvas's shorter side, except `max_size_ratio`: of its height. `line_padding` is in em."""

    margin: float
    padding_x: float
    padding_y: float
    line_padding_x: float
    line_padding_y: float
    max_size_ratio: float


_PROPORTIONS = {
    Kind.BADGE: _Proportions(0.06, 0.085, 0.085, 0.42, 0.40, 0.40),
    Kind.PILL: _Proportions(0.05, 0.10, 0.06, 0.62, 0.44, 0.42),
    Kind.BUTTON: _Proportions(0.06, 0.10, 0.07, 0.85, 0.58, 0.34),
    Kind.LABEL: _Proportions(0.05, 0.08, 0.07, 0.45, 0.42, 0.38),
}
_ICON_EM = 1.05
_ICON_GAP_EM = 0.42
_MAX_TRIES = 24


def plate_scene(
    kind: Kind,
    width: int,
    height: int,
    content: Sequence[Paragraph],
    style: Style,
    anchor: Anchor,
    align: str | None,
) -> Scene:
    shape = _PROPORTIONS[kind]
    side = min(width, height)
    area = Rect(0, 0, width, height).inset(max(3.0, shape.margin * side))
    padding_x, padding_y = (
        shape.padding_x * side * style.padding_ratio,
        shape.padding_y * side * style.padding_ratio,
    )
    lead = (
        min(0.16 * area.height, 0.14 * area.width) if kind is Kind.LABEL else 0.0
    )  # room for the tag's hole
    box = Rect(area.x, area.y, area.width - lead, area.height).inset(padding_x, padding_y)
    stacked = style.icon is not None and kind is Kind.BADGE and height > 0.7 * width
    for _ in range(_MAX_TRIES):
        block, icon = _fit_with_icon(
            content, box, shape.max_size_ratio * height, align or "center", style, stacked
        )
        plate = _plate_around(block, icon, stacked, area, shape, (padding_x, padding_y), style, lead)
        if plate.width <= area.width and plate.height <= area.height:
            break
        box = box.inset(box.width * 0.04, box.height * 0.04)
    else:
        raise errors.InvalidRequest("the words do not fit the corners: ask for a larger image", "size")
    plate = _anchored(plate, area, anchor)
    shades = style.ramp()
    radius = style.radius_ratio * min(plate.width, plate.height)
    drawn = _draw_plate(kind, plate, radius, shades, side)
    content_area = Rect(plate.x + lead, plate.y, plate.width - lead, plate.height)
    text, icon_rect = _place(block, icon, stacked, content_area, style, shades)
    if icon_rect is not None and style.icon is not None:
        drawn.append(icon_svg(style.icon, icon_rect, style.ink_on(shades), VIEW_BOX))
    return Scene(
        width,
        height,
        style.page,
        tuple(drawn),
        text,
        content_area.inset(padding_x * 0.4, padding_y * 0.4).whole_pixels(),
        shades,
    )


def _fit_with_icon(
    content: Sequence[Paragraph], box: Rect, max_size: float, align: str, style: Style, stacked: bool
) -> tuple[Block, float]:
    """The block, and the side of the icon beside or above it (0 without one)."""
    if style.icon is None:
        return fit(content, box.width, box.height, max_size, align), 0.0
    if stacked:
        icon = 0.3 * box.height
        return fit(content, box.width, box.height - 1.25 * icon, max_size, align), icon
    beside = _ICON_EM + _ICON_GAP_EM
    block = fit(content, box.width * 0.82, box.height, max_size, align)
    widest = max(box.width * 0.5, box.width - beside * block.size)
    block = fit(content, widest, box.height, min(block.size, box.height / _ICON_EM), align)
    return block, min(_ICON_EM * block.size, box.width - widest)


def _plate_around(
    block: Block,
    icon: float,
    stacked: bool,
    area: Rect,
    shape: _Proportions,
    padding: tuple[float, float],
    style: Style,
    lead: float,
) -> Rect:
    """May come out wider or taller than `area`: then the words are too large for its corners."""
    gap = icon * _ICON_GAP_EM / _ICON_EM
    inner_width = max(block.width, icon) if stacked else block.width + (icon + gap if icon else 0)
    inner_height = block.height + 1.25 * icon if stacked else max(block.height, icon)
    usual_x = max(padding[0], shape.line_padding_x * block.size * style.padding_ratio)
    usual_y = max(padding[1], shape.line_padding_y * block.size * style.padding_ratio)
    room_x, room_y = (area.width - inner_width - lead) / 2, (area.height - inner_height) / 2
    padding_x = max(padding[0], min(usual_x, room_x))
    padding_y = max(padding[1], min(usual_y, room_y))
    height = inner_height + 2 * padding_y
    padding_x = max(padding_x, _corner_clearance(style.radius_ratio * height, padding_y) + 0.08 * block.size)
    width = max(inner_width + lead + 2 * padding_x, min(0.9 * height, area.width))
    return Rect(area.x, area.y, width, height)


def _corner_clearance(radius: float, padding_y: float) -> float:
    """How far from the side a corner of the words must stay, to be inside a corner rounded by `radius`."""
    if padding_y >= radius:
        return 0.0
    return radius - math.sqrt(radius**2 - (radius - padding_y) ** 2)


def _anchored(plate: Rect, area: Rect, anchor: Anchor) -> Rect:
    name = anchor.value
    x = area.x + (area.width - plate.width) / 2
    y = area.y + (area.height - plate.height) / 2
    if "left" in name:
        x = area.x
    if "right" in name:
        x = area.right - plate.width
    if "top" in name:
        y = area.y
    if "bottom" in name:
        y = area.bottom - plate.height
    return Rect(x, y, plate.width, plate.height)


def _draw_plate(
    kind: Kind, plate: Rect, radius: float, shades: tuple[Colour, Colour], side: float
) -> list[str]:
    line = max(1.0, side * 0.006)
    is_flat = shades[0] == shades[1]
    fill = shades[0].hex if is_flat else "url(#plate)"
    drawn = [] if is_flat else [gradient("plate", *shades)]
    if kind is Kind.LABEL:
        return [*drawn, *_tag(plate, radius, side * 0.03, fill, lighter(shades[0], -0.09))]
    drawn.append(shadow(rounded_rect(plate, radius, "none"), side * 0.03))
    if kind is Kind.BUTTON:
        lip = Rect(plate.x, plate.y + line * 2, plate.width, plate.height)
        drawn.append(rounded_rect(lip, radius, _darker(shades[1]).hex))
    drawn.append(rounded_rect(plate, radius, fill))
    edge = plate.inset(line * (2.6 if kind is Kind.BADGE else 0.5))
    opacity = 0.55 if kind is Kind.BADGE else 0.25
    outline = f'stroke="{WHITE.hex}" stroke-opacity="{opacity}" stroke-width="{line:.2f}"'
    drawn.append(rounded_rect(edge, max(0.0, radius - (edge.x - plate.x)), "none", outline))
    return drawn


def _tag(plate: Rect, radius: float, depth: float, fill: str, eyelet: Colour) -> list[str]:
    """A price tag: pointed to the left, with an eyelet."""
    nose = min(plate.height * 0.3, plate.width * 0.2)
    r = min(radius, plate.height * 0.2)
    middle = plate.y + plate.height / 2
    outline = (
        f"M{plate.x + nose:.2f} {plate.y:.2f}H{plate.right - r:.2f}"
        f"Q{plate.right:.2f} {plate.y:.2f} {plate.right:.2f} {plate.y + r:.2f}V{plate.bottom - r:.2f}"
        f"Q{plate.right:.2f} {plate.bottom:.2f} {plate.right - r:.2f} {plate.bottom:.2f}"
        f"H{plate.x + nose:.2f}L{plate.x:.2f} {middle:.2f}Z"
    )
    hole = min(plate.height * 0.07, nose * 0.26)
    ring = f'cx="{plate.x + nose * 0.72:.2f}" cy="{middle:.2f}" r="{hole:.2f}"'
    return [
        shadow(f'<path fill="none" d="{outline}"/>', depth),
        f'<path fill="{fill}" d="{outline}"/>',
        f'<circle {ring} fill="{eyelet.hex}"/>',
    ]


def _place(
    block: Block, icon: float, stacked: bool, area: Rect, style: Style, shades: Sequence[Colour]
) -> tuple[PlacedBlock, Rect | None]:
    cx, cy = area.center
    colours = inks(style, shades)
    if not icon:
        return PlacedBlock(block, cx - block.width / 2, cy - block.height / 2, colours), None
    if stacked:
        top = cy - (block.height + 1.25 * icon) / 2
        place = Rect(cx - icon / 2, top, icon, icon)
        return PlacedBlock(block, cx - block.width / 2, top + 1.25 * icon, colours), place
    gap = icon * _ICON_GAP_EM / _ICON_EM
    left = cx - (icon + gap + block.width) / 2
    place = Rect(left, cy - icon / 2, icon, icon)
    return PlacedBlock(block, left + icon + gap, cy - block.height / 2, colours), place


def _darker(colour: Colour) -> Colour:
    return lighter(colour, -0.12)

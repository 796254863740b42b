"""Kinds that fill their canvas: poster, banner and card."""

import random
from collections.abc import Sequence

from deployments.typesetter import bidi
from deployments.typesetter.colour import (
    AA_CONTRAST_RATIO,
    INK,
    WHITE,
    Colour,
    adjusted_ink,
    contrast_ratio,
    lighter,
    mix,
)
from deployments.typesetter.fitting import Block, Paragraph, fit
from deployments.typesetter.icons import VIEW_BOX
from deployments.typesetter.layout import Anchor
from deployments.typesetter.scene import (
    PlacedBlock,
    Rect,
    Scene,
    ground,
    icon_svg,
    nested_svg,
    rounded_rect,
    shadow,
)
from deployments.typesetter.style import Style, inks

_LOGO_RATIO = 0.1


def poster_scene(
    width: int,
    height: int,
    content: Sequence[Paragraph],
    style: Style,
    anchor: Anchor,
    align: str | None,
    seed: int,
) -> Scene:
    """Large words over overlapping discs, whose shades the ink reads on; the seed moves the discs."""
    side = min(width, height)
    area = Rect(0, 0, width, height).inset(0.085 * side * style.padding_ratio).whole_pixels()
    shades = style.ramp()
    ink = style.ink_on(shades)
    tints = _readable_tints(style, ink)
    drawn = [ground(width, height, *shades)]
    drawn += _discs(width, height, tints, random.Random(seed))
    top_reserve, icon_rect = 0.0, None
    if style.icon is not None:
        icon_side = 0.16 * side
        icon_rect = Rect(area.x, area.y, icon_side, icon_side)
        top_reserve = icon_side * 1.3
    foot = _logo(style, area, side, drawn)
    box = Rect(area.x, area.y + top_reserve, area.width, area.height - top_reserve - foot)
    side_align = align or ("left" if anchor is Anchor.AUTO else _align_of(anchor))
    block = fit(content, box.width, box.height - 0.05 * side, 0.3 * side, side_align)
    x, y = _position(block, box, anchor, default=Anchor.BOTTOM_LEFT, align=side_align)
    rule = 0.018 * side
    if y - box.y > 5.5 * rule:
        start = x if side_align != "right" else x + block.width - 0.16 * side
        start = x + block.width / 2 - 0.08 * side if side_align == "center" else start
        drawn.append(rounded_rect(Rect(start, y - 4.4 * rule, 0.16 * side, rule * 0.7), rule, ink.hex))
    if icon_rect is not None and style.icon is not None:
        drawn.append(icon_svg(style.icon, icon_rect, ink, VIEW_BOX))
    fills = (*shades, *tints)
    return Scene(
        width, height, style.page, tuple(drawn), PlacedBlock(block, x, y, inks(style, fills)), area, fills
    )


def banner_scene(
    width: int, height: int, content: Sequence[Paragraph], style: Style, anchor: Anchor, align: str | None
) -> Scene:
    """Edge to edge, with slanted bands behind the words."""
    side = min(width, height)
    area = Rect(0, 0, width, height).inset(0.09 * side * style.padding_ratio).whole_pixels()
    shades = style.ramp()
    ink = style.ink_on(shades)
    tints = _readable_tints(style, ink)
    drawn = [ground(width, height, *shades)]
    drawn += _bands(width, height, tints)
    lead = 0.0
    if style.icon is not None:
        icon_side = min(0.5 * area.height, 0.18 * area.width)
        place = Rect(area.x, area.y + (area.height - icon_side) / 2, icon_side, icon_side)
        drawn.append(icon_svg(style.icon, place, ink, VIEW_BOX))
        lead = icon_side * 1.35
    foot = _logo(style, area, side, drawn) if height >= width / 2 else 0.0
    box = Rect(area.x + lead, area.y, area.width - lead, area.height - foot)
    side_align = align or ("start" if lead else "center")
    block = fit(content, box.width, box.height, 0.46 * height, side_align)
    default = Anchor.LEFT if lead else Anchor.CENTER
    x, y = _position(block, box, anchor, default=default, align=side_align)
    fills = (*shades, *tints)
    return Scene(
        width, height, style.page, tuple(drawn), PlacedBlock(block, x, y, inks(style, fills)), area, fills
    )


def card_scene(
    width: int, height: int, content: Sequence[Paragraph], style: Style, anchor: Anchor, align: str | None
) -> Scene:
    """A light surface with a bar in the fill colour; words are dark, or the wanted ink made readable."""
    side = min(width, height)
    surface = Rect(0, 0, width, height).inset(0.05 * side)
    radius = style.radius_ratio * min(surface.width, surface.height)
    paper = mix(WHITE, style.fill, 0.05)
    bar = max(3.0, 0.035 * side)
    drawn = [shadow(rounded_rect(surface, radius, "none"), 0.03 * side)]
    clip = rounded_rect(surface, radius, WHITE.hex)
    drawn += [
        f'<defs><clipPath id="card">{clip}</clipPath></defs>',
        rounded_rect(surface, radius, paper.hex),
    ]
    band = Rect(surface.x, surface.y, surface.width, bar)
    drawn.append(f'<g clip-path="url(#card)">{rounded_rect(band, 0, style.fill.hex)}</g>')
    hairline = f'stroke="{mix(WHITE, INK, 0.14).hex}" stroke-width="{max(1.0, side * 0.004):.2f}"'
    drawn.append(rounded_rect(surface, radius, "none", hairline))
    inside = Rect(surface.x, surface.y + bar, surface.width, surface.height - bar)
    area = inside.inset(0.08 * side * style.padding_ratio).whole_pixels()
    head = 0.0
    if style.icon is not None:
        head = _icon_disc(style, area, min(0.24 * side, 0.3 * area.height), drawn)
    foot = _logo(style, area, side, drawn)
    box = Rect(area.x, area.y + head, area.width, area.height - head - foot)
    block = fit(content, box.width, box.height, 0.2 * side, align or "start")
    x, y = _position(block, box, anchor, default=Anchor.LEFT, align=align or "start")
    ink = style.ink_on([paper]) if style.wanted_ink else INK
    colours = {
        **inks(style, [paper]),
        "title": ink,
        "body": ink,
        "kicker": _readable_accent(style.fill, paper),
    }
    return Scene(width, height, style.page, tuple(drawn), PlacedBlock(block, x, y, colours), area, (paper,))


def _icon_disc(style: Style, area: Rect, size: float, drawn: list[str]) -> float:
    drawn.append(rounded_rect(Rect(area.x, area.y, size, size), size / 2, style.fill.hex))
    place = Rect(area.x, area.y, size, size).inset(size * 0.24)
    drawn.append(icon_svg(style.icon or "", place, style.ink_on([style.fill]), VIEW_BOX))
    return size * 1.25


def _logo(style: Style, area: Rect, side: float, drawn: list[str]) -> float:
    """Draws the brand's logo at the foot; the height it takes."""
    if style.logo_svg is None:
        return 0.0
    height = _LOGO_RATIO * side
    drawn.append(nested_svg(style.logo_svg, Rect(area.x, area.bottom - height, area.width, height)))
    return height * 1.5


def _readable_tints(style: Style, ink: Colour) -> tuple[Colour, ...]:
    """Accent over fill, as strong as lets the ink read."""
    tints = []
    for share in (0.1, 0.2, 0.32):
        candidates = [mix(style.fill, style.accent, share * strength) for strength in (1.0, 0.6, 0.3)]
        candidates += [lighter(style.fill, amount * share) for amount in (-0.2, 0.2)]
        tints.append(next((c for c in candidates if contrast_ratio(ink, c) >= AA_CONTRAST_RATIO), style.fill))
    return tuple(tints)


def _readable_accent(fill: Colour, ground: Colour) -> Colour:
    return adjusted_ink(fill, [ground])


def _discs(width: int, height: int, tints: Sequence[Colour], chance: random.Random) -> list[str]:
    cx, cy = width * chance.uniform(0.62, 0.9), height * chance.uniform(0.12, 0.34)
    side = min(width, height)
    radii = [side * size * chance.uniform(0.92, 1.08) for size in (0.74, 0.54, 0.34)]
    drawn = [
        f'<circle cx="{cx:.1f}" cy="{cy:.1f}" r="{radius:.1f}" fill="{tint.hex}"/>'
        for radius, tint in zip(radii, tints, strict=True)
    ]
    x, radius = width * chance.uniform(-0.05, 0.2), side * chance.uniform(0.28, 0.4)
    drawn.append(f'<circle cx="{x:.1f}" cy="{height * 1.02:.1f}" r="{radius:.1f}" fill="{tints[0].hex}"/>')
    return drawn


def _bands(width: int, height: int, tints: Sequence[Colour]) -> list[str]:
    slant = height * 0.55
    drawn = []
    for index, tint in enumerate(tints):
        left = width * (0.62 + 0.14 * index)
        drawn.append(f'<path fill="{tint.hex}" d="M{left + slant:.1f} 0H{width}V{height}H{left:.1f}Z"/>')
    return drawn


def _position(block: Block, box: Rect, anchor: Anchor, default: Anchor, align: str) -> tuple[float, float]:
    name = (default if anchor is Anchor.AUTO else anchor).value
    spare_x, spare_y = box.width - block.width, box.height - block.height
    x = box.x + spare_x / 2
    if "left" in name or (anchor is Anchor.AUTO and align == "left"):
        x = box.x
    if "right" in name or (anchor is Anchor.AUTO and align == "right") or _runs_to_the_right(block, align):
        x = box.x + spare_x
    y = box.y + spare_y / 2
    if "top" in name:
        y = box.y
    if "bottom" in name:
        y = box.y + spare_y
    return x, y


def _runs_to_the_right(block: Block, align: str) -> bool:
    return align == "start" and bidi.base_level(block.lines[0].shaped.text) == 1


def _align_of(anchor: Anchor) -> str:
    if "left" in anchor.value:
        return "left"
    return "right" if "right" in anchor.value else "center"

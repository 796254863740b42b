"""A Layout and a brand kit to concrete looks: colours, typeface, radii. Unknown names end here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from deployments import errors
from deployments.typesetter import shaping
from deployments.typesetter.brand import NO_BRAND, BrandKit
from deployments.typesetter.colour import (
    AA_CONTRAST_RATIO,
    Colour,
    adjusted_ink,
    lighter,
    parse_colour,
    readable_ink,
    worst_contrast,
)
from deployments.typesetter.fitting import Paragraph
from deployments.typesetter.fonts import (
    DEFAULT_FAMILY,
    DISPLAY_OPTICAL_SIZE,
    TEXT_OPTICAL_SIZE,
    FontLibrary,
    FontStack,
)
from deployments.typesetter.icons import icon_body
from deployments.typesetter.layout import Corner, Kind, Layout, Line, Role

_SMALL_SIDE_PX = 256
_DEFAULT_FILL: Mapping[Kind, str] = {
    Kind.BADGE: "blue",
    Kind.PILL: "indigo",
    Kind.BUTTON: "blue",
    Kind.BANNER: "navy",
    Kind.LABEL: "amber",
    Kind.POSTER: "navy",
    Kind.CARD: "blue",
}
_DEFAULT_FAMILY: Mapping[Kind, str] = {Kind.POSTER: "Archivo"}
_DEFAULT_WEIGHT: Mapping[Kind, int] = {Kind.POSTER: 750, Kind.BUTTON: 650, Kind.PILL: 650}
_CORNER_RATIO: Mapping[Corner, float] = {Corner.SQUARE: 0.0, Corner.ROUNDED: 0.18, Corner.ROUND: 0.5}
_KIND_CORNER_RATIO: Mapping[Kind, float] = {
    Kind.BADGE: 0.2,
    Kind.PILL: 0.5,
    Kind.BUTTON: 0.26,
    Kind.BANNER: 0.0,
    Kind.LABEL: 0.14,
    Kind.POSTER: 0.0,
    Kind.CARD: 0.06,
}


@dataclass(frozen=True, slots=True)
class Style:
    """`radius_ratio` is of a shape's shorter side. `wanted_ink` is a wish: `ink_on` makes it readable."""

    fill: Colour
    wanted_ink: Colour | None
    accent: Colour
    page: Colour | None
    radius_ratio: float
    padding_ratio: float
    title: FontStack
    body: FontStack
    icon: str | None
    logo_svg: str | None

    def ink_on(self, fills: Sequence[Colour]) -> Colour:
        """Reaches AA contrast on every one of `fills`, as long as any ink does."""
        if self.wanted_ink is not None:
            return adjusted_ink(self.wanted_ink, fills)
        return readable_ink(fills)

    def ramp(self) -> tuple[Colour, Colour]:
        """Two shades around the fill for a vertical gradient, close enough for one ink to read on both."""
        ink = self.ink_on([self.fill])
        up, down = (0.04, -0.07) if ink.luminance > self.fill.luminance else (0.06, -0.03)
        for share in (1.0, 0.6, 0.3):
            shades = lighter(self.fill, up * share), lighter(self.fill, down * share)
            if worst_contrast(ink, shades) >= AA_CONTRAST_RATIO:
                return shades
        return self.fill, self.fill


def resolve_style(layout: Layout, library: FontLibrary, brands: Mapping[str, BrandKit], side: int) -> Style:
    """`side` is the canvas's shorter one, px. Raises InvalidRequest for an unknown name, with the choices."""
    brand = _brand(layout.brand, brands)
    family = layout.font or brand.file.font or _DEFAULT_FAMILY.get(layout.kind, DEFAULT_FAMILY)
    if family not in library.families:
        raise errors.InvalidRequest(
            f"unknown font {family!r}: choose one of {', '.join(library.families)}", "font"
        )
    weight = brand.file.weight or _DEFAULT_WEIGHT.get(layout.kind, 700)
    fill = _colour("fill", layout.fill or brand.file.fill or _DEFAULT_FILL[layout.kind], brand)
    accent = layout.accent or brand.file.accent
    page = layout.page or brand.file.page
    ink = layout.ink or brand.file.ink
    return Style(
        fill=fill,
        wanted_ink=_colour("ink", ink, brand) if ink else None,
        accent=_colour("accent", accent, brand)
        if accent
        else lighter(fill, 0.22 if fill.luminance < 0.3 else -0.2),
        page=_colour("page", page, brand) if page else None,
        radius_ratio=_radius_ratio(layout, brand),
        padding_ratio=brand.file.padding_ratio,
        title=library.stack(
            family, weight, TEXT_OPTICAL_SIZE if side <= _SMALL_SIDE_PX else DISPLAY_OPTICAL_SIZE
        ),
        body=library.stack(brand.file.font or layout.font or DEFAULT_FAMILY, 500, TEXT_OPTICAL_SIZE),
        icon=icon_body(layout.icon) if layout.icon else None,
        logo_svg=brand.logo_svg,
    )


def paragraphs(
    layout: Layout, style: Style, brands: Mapping[str, BrandKit], small_scale: float
) -> list[Paragraph]:
    """`small_scale`: kickers and body relative to titles. Raises Unsupported for missing glyphs."""
    upper = layout.uppercase or _brand(layout.brand, brands).file.uppercase
    return [_paragraph(line, style, upper, small_scale) for line in layout.lines]


def inks(style: Style, fills: Sequence[Colour]) -> dict[str, Colour]:
    ink = style.ink_on(fills)
    return {role.value: ink for role in Role}


def _paragraph(line: Line, style: Style, upper: bool, small_scale: float) -> Paragraph:
    text = shaping.prepare(line.text).replace("\n", " ").strip()
    if upper:
        text = text.upper()
    if not text:
        raise errors.InvalidRequest("there is no text to set: only invisible characters were given", "prompt")
    is_title = line.role is Role.TITLE
    stack = style.title if is_title or line.emphasis else style.body
    shaping.require_coverage(text, stack)
    stack = shaping.with_one_east_asian_face(text, stack)
    scale = 1.0 if is_title else small_scale
    scale *= 1.6 if line.emphasis else 1.0
    tracking = 0.1 if line.role is Role.KICKER else 0.0
    return Paragraph(text, stack, scale, tracking, line.role.value)


def _brand(name: str | None, brands: Mapping[str, BrandKit]) -> BrandKit:
    if name is None:
        return NO_BRAND
    if name not in brands:
        known = ", ".join(sorted(brands)) or "none is configured"
        raise errors.InvalidRequest(f"unknown brand {name!r}: choose one of {known}", "brand")
    return brands[name]


def _colour(role: str, value: str, brand: BrandKit) -> Colour:
    try:
        return parse_colour(value, brand.tokens)
    except ValueError as error:
        raise errors.InvalidRequest(f"{role}: {error}", role) from None


def _radius_ratio(layout: Layout, brand: BrandKit) -> float:
    if layout.corner is not None:
        return _CORNER_RATIO[layout.corner]
    if brand.file.radius_ratio is not None:
        return brand.file.radius_ratio
    if brand.file.corner is not None:
        return _CORNER_RATIO[brand.file.corner]
    return _KIND_CORNER_RATIO[layout.kind]

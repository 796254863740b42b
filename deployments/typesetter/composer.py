"""A Layout to a Scene: picks the kind's drawing, and the scales at which small text stays legible."""

from collections.abc import Callable, Mapping

from deployments import errors
from deployments.typesetter.brand import BrandKit
from deployments.typesetter.fonts import FontLibrary
from deployments.typesetter.layout import Kind, Layout
from deployments.typesetter.plates import plate_scene
from deployments.typesetter.scene import Scene
from deployments.typesetter.sheets import banner_scene, card_scene, poster_scene
from deployments.typesetter.style import Style, paragraphs, resolve_style

_SMALL_SCALES = (0.42, 0.65, 1.0)


def compose(
    layout: Layout, width: int, height: int, seed: int, library: FontLibrary, brands: Mapping[str, BrandKit]
) -> Scene:
    """Raises InvalidRequest (unknown names, text that does not fit) and Unsupported (missing glyphs)."""
    style = resolve_style(layout, library, brands, min(width, height))
    return at_legible_scale(
        lambda small_scale: _scene(layout, style, width, height, seed, brands, small_scale)
    )


def at_legible_scale(attempt: Callable[[float], Scene]) -> Scene:
    """The first success with small text at its usual share of the title, then at larger shares."""
    for small_scale in _SMALL_SCALES[:-1]:
        try:
            return attempt(small_scale)
        except errors.Unsupported:
            raise
        except errors.InvalidRequest:
            continue
    return attempt(_SMALL_SCALES[-1])


def _scene(
    layout: Layout,
    style: Style,
    width: int,
    height: int,
    seed: int,
    brands: Mapping[str, BrandKit],
    small_scale: float,
) -> Scene:
    content = paragraphs(layout, style, brands, small_scale)
    align = layout.align.value if layout.align else None
    match layout.kind:
        case Kind.POSTER:
            return poster_scene(width, height, content, style, layout.anchor, align, seed)
        case Kind.BANNER:
            return banner_scene(width, height, content, style, layout.anchor, align)
        case Kind.CARD:
            return card_scene(width, height, content, style, layout.anchor, align)
        case _:
            return plate_scene(layout.kind, width, height, content, style, layout.anchor, align)

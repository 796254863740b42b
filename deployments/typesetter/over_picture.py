"""Words over somebody else's picture: where it is calm, on a shade just strong enough to read them.

The picture under the words is softened where it is busy and shaded towards dark or light until the worst
pixel there reaches AA contrast with the ink. Calm is measured by simple statistics: edges and spread of
luminance. Knows nothing of what the picture shows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

from deployments.types import Pixels
from deployments.typesetter.brand import BrandKit
from deployments.typesetter.colour import (
    AA_CONTRAST_RATIO,
    INK,
    WHITE,
    Colour,
    adjusted_ink,
    contrast_ratio,
    mix,
    worst_contrast,
)
from deployments.typesetter.composer import at_legible_scale, compose
from deployments.typesetter.fitting import Block, fit
from deployments.typesetter.fonts import FontLibrary
from deployments.typesetter.layout import Anchor, Kind, Layout
from deployments.typesetter.scene import PlacedBlock, Rect, Scene, ink_box, shifted
from deployments.typesetter.style import Style, inks, paragraphs, resolve_style

PLATE_KINDS = frozenset({Kind.BADGE, Kind.PILL, Kind.BUTTON, Kind.LABEL})

_MARGIN_RATIO = 0.07
_REGION_HEIGHT_RATIO = 0.3
_PLATE_RATIO = 0.46
_BUSY_EDGE = 0.03
_BUSY_SCRIM_RATIO = 0.35
_DARK_SCRIM = Colour(8, 10, 18)
_LIGHT_SCRIM = Colour(250, 250, 252)
_STATISTICS_SIDE = 128
_TARGET_CONTRAST_RATIO = AA_CONTRAST_RATIO * 1.05

FloatMap = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class OverPicture:
    """`picture` is ready for the words.

    `scrim_ratio` (0..1) is how strong the shade is, `contrast` the worst ratio in the box around the ink.
    """

    scene: Scene
    picture: Pixels
    scrim_ratio: float
    contrast: float


def compose_over(
    picture: Pixels, layout: Layout, seed: int, library: FontLibrary, brands: Mapping[str, BrandKit]
) -> OverPicture:
    """Raises as `composer.compose`."""
    unrest = _unrest(picture)
    if layout.kind in PLATE_KINDS:
        scene = _plate_over(picture, layout, seed, unrest, library, brands)
        contrast = min(worst_contrast(ink, scene.fills) for ink in set(scene.text.inks.values()))
        return OverPicture(scene, picture, 0.0, contrast)
    style = resolve_style(layout, library, brands, min(picture.shape[:2]))
    region, anchor = calm_region(unrest, picture.shape[1], picture.shape[0], layout.anchor)
    scene = at_legible_scale(lambda small: _words(picture, layout, style, brands, region, anchor, small))
    return _shaded(scene, picture, style, anchor, unrest)


def calm_region(unrest: FloatMap, width: int, height: int, wanted: Anchor) -> tuple[Rect, Anchor]:
    """The calmest of the strips and corners that words may stand in, or the one at `wanted`."""
    candidates = _regions(width, height)
    if wanted is not Anchor.AUTO:
        return next((region, anchor) for region, anchor, _ in candidates if anchor is wanted)
    scored = [
        (_mean(unrest, region, width, height) * handicap, region, anchor)
        for region, anchor, handicap in candidates
    ]
    _, region, anchor = min(scored, key=lambda candidate: candidate[0])
    return region, anchor


def _regions(width: int, height: int) -> list[tuple[Rect, Anchor, float]]:
    """With a handicap for narrow places and for the middle, where pictures keep their subject.

    The first of equals wins.
    """
    area = Rect(0, 0, width, height).inset(_MARGIN_RATIO * min(width, height))
    tall = _REGION_HEIGHT_RATIO * height
    rows = (("top", area.y), ("", area.y + (area.height - tall) / 2), ("bottom", area.bottom - tall))
    half = area.width * 0.55
    columns = (("", area.x, area.width), ("left", area.x, half), ("right", area.right - half, half))
    regions = []
    for row, y in rows:
        for column, x, region_width in columns:
            name = "-".join(part for part in (row, column) if part) or "center"
            handicap = (1.25 if not row else 1.0) * (1.6 if column and width < 1.3 * height else 1.0)
            regions.append(
                (Rect(x, y, region_width, tall), Anchor(name), handicap * (1.1 if column else 1.0))
            )
    order = {"bottom": 0, "top": 1}
    return sorted(regions, key=lambda region: order.get(region[1].value, 2))


def _unrest(picture: Pixels) -> FloatMap:
    """Small map of edges plus departure from the mean luminance, about 0..1; never quite 0."""
    image = Image.fromarray(picture[..., :3]).convert("L")
    image.thumbnail((_STATISTICS_SIDE, _STATISTICS_SIDE), Image.Resampling.BOX)
    grey = np.asarray(image, np.float32) / 255
    rows, columns = np.gradient(grey) if min(grey.shape) > 1 else (np.zeros_like(grey),) * 2
    edges = np.hypot(rows, columns)
    return np.asarray(edges + 0.15 * np.abs(grey - grey.mean()) + 1e-3, np.float32)


def _mean(values: FloatMap, rect: Rect, width: int, height: int) -> float:
    rows, columns = values.shape
    top, bottom = int(rect.y / height * rows), max(1, int(rect.bottom / height * rows))
    left, right = int(rect.x / width * columns), max(1, int(rect.right / width * columns))
    return float(values[top : max(bottom, top + 1), left : max(right, left + 1)].mean())


def _plate_over(
    picture: Pixels,
    layout: Layout,
    seed: int,
    unrest: FloatMap,
    library: FontLibrary,
    brands: Mapping[str, BrandKit],
) -> Scene:
    height, width = picture.shape[:2]
    side = _PLATE_RATIO * min(width, height)
    plate_width, plate_height = round(min(width, max(side * 1.4, 96))), round(min(height, max(side, 64)))
    _, anchor = calm_region(unrest, width, height, layout.anchor)
    plain = layout.model_copy(update={"anchor": Anchor.AUTO, "page": None})
    plate = compose(plain, plate_width, plate_height, seed, library, brands)
    margin = 0.02 * min(width, height)
    x = (width - plate_width) / 2
    if "left" in anchor.value:
        x = margin
    if "right" in anchor.value:
        x = width - plate_width - margin
    y = (height - plate_height) / 2
    if "top" in anchor.value:
        y = margin
    if "bottom" in anchor.value:
        y = height - plate_height - margin
    return shifted(plate, max(0.0, x), max(0.0, y), width, height)


def _words(
    picture: Pixels,
    layout: Layout,
    style: Style,
    brands: Mapping[str, BrandKit],
    region: Rect,
    anchor: Anchor,
    small_scale: float,
) -> Scene:
    height, width = picture.shape[:2]
    align = layout.align.value if layout.align else _align(anchor)
    content = paragraphs(layout, style, brands, small_scale)
    block = fit(content, region.width, region.height, 0.2 * min(width, height), align)
    x, y = _position(block, region, anchor)
    text = PlacedBlock(block, x, y, inks(style, [style.fill]))
    area = Rect(0, 0, width, height).inset(_MARGIN_RATIO * 0.5 * min(width, height))
    return Scene(width, height, None, (), text, area, ())


def _align(anchor: Anchor) -> str:
    if "left" in anchor.value:
        return "left"
    return "right" if "right" in anchor.value else "center"


def _position(block: Block, region: Rect, anchor: Anchor) -> tuple[float, float]:
    x = region.x + (region.width - block.width) / 2
    if "left" in anchor.value:
        x = region.x
    if "right" in anchor.value:
        x = region.right - block.width
    y = region.y + (region.height - block.height) / 2
    if "top" in anchor.value:
        y = region.y
    if "bottom" in anchor.value:
        y = region.bottom - block.height
    return x, y


def _shaded(scene: Scene, picture: Pixels, style: Style, anchor: Anchor, unrest: FloatMap) -> OverPicture:
    size = scene.text.block.size
    ink_area = ink_box(scene.text)
    panel = ink_area.inset(-0.55 * size, -0.5 * size)
    busy = _mean(unrest, panel_inside(panel, scene), scene.width, scene.height) > _BUSY_EDGE
    mask = _mask(panel, scene, anchor, feather=0.55 * size)
    ground = picture[..., :3]
    if busy:
        ground = _softened(ground, mask, radius=0.3 * size)
    under = _crop(ground, ink_area.inset(-0.1 * size))
    ink, scrim, share = _ink_and_scrim(under, style)
    if busy:
        share = max(share, _BUSY_SCRIM_RATIO)
    shaded = picture.copy()
    shaded[..., :3] = _blend(ground, scrim, mask * share)
    if picture.shape[2] == 4:
        shaded[..., 3] = np.maximum(picture[..., 3], np.round(mask * 255).astype(np.uint8))
    contrast = _worst_contrast(ink, _crop(shaded[..., :3], ink_area))
    text = replace(scene.text, inks=dict.fromkeys(scene.text.inks, ink))
    return OverPicture(replace(scene, text=text), shaded, share, contrast)


def panel_inside(panel: Rect, scene: Scene) -> Rect:
    left, top = max(0.0, panel.x), max(0.0, panel.y)
    return Rect(left, top, min(scene.width, panel.right) - left, min(scene.height, panel.bottom) - top)


def _mask(panel: Rect, scene: Scene, anchor: Anchor, feather: float) -> FloatMap:
    """1 over the panel, fading outside it; runs to the picture's edges where the words nearly do."""
    left, right = panel.x, panel.right
    if panel.width > 0.5 * scene.width:
        left, right = -3 * feather, scene.width + 3 * feather
    top = -3 * feather if "top" in anchor.value else panel.y
    bottom = scene.height + 3 * feather if "bottom" in anchor.value else panel.bottom
    pad = int(4 * feather) + 1
    canvas = Image.new("L", (scene.width + 2 * pad, scene.height + 2 * pad), 0)
    box = (left - feather + pad, top - feather + pad, right + feather + pad, bottom + feather + pad)
    ImageDraw.Draw(canvas).rounded_rectangle(box, radius=feather, fill=255)
    soft = canvas.filter(ImageFilter.GaussianBlur(feather / 2.6))
    values = np.asarray(soft.crop((pad, pad, pad + scene.width, pad + scene.height)), np.float32) / 255
    return np.minimum(1.0, values * 1.04).astype(np.float32)


def _softened(ground: Pixels, mask: FloatMap, radius: float) -> Pixels:
    soft = np.asarray(
        Image.fromarray(np.ascontiguousarray(ground)).filter(ImageFilter.GaussianBlur(radius)), np.float32
    )
    weight = mask[..., None]
    return np.round(ground * (1 - weight) + soft * weight).astype(np.uint8)


def _ink_and_scrim(under: Pixels, style: Style) -> tuple[Colour, Colour, float]:
    """The ink that needs the weaker shade, that shade's colour and its share."""
    brightest = Colour(*(int(v) for v in under.reshape(-1, 3).max(axis=0)))
    darkest = Colour(*(int(v) for v in under.reshape(-1, 3).min(axis=0)))
    wanted = style.wanted_ink
    light = adjusted_ink(wanted, [_DARK_SCRIM]) if wanted and wanted.luminance > 0.4 else WHITE
    dark = adjusted_ink(wanted, [_LIGHT_SCRIM]) if wanted and wanted.luminance <= 0.4 else INK
    choices = [
        (_needed_share(light, brightest, _DARK_SCRIM), light, _DARK_SCRIM),
        (_needed_share(dark, darkest, _LIGHT_SCRIM), dark, _LIGHT_SCRIM),
    ]
    if wanted is not None:
        choices = choices[:1] if wanted.luminance > 0.4 else choices[1:]
    share, ink, scrim = min(choices, key=lambda choice: choice[0])
    return ink, scrim, share


def _needed_share(ink: Colour, worst: Colour, scrim: Colour) -> float:
    return next(
        (
            s / 20
            for s in range(20)
            if contrast_ratio(ink, mix(worst, scrim, s / 20)) >= _TARGET_CONTRAST_RATIO
        ),
        1.0,
    )


def _blend(ground: Pixels, scrim: Colour, share: FloatMap) -> Pixels:
    weight = share[..., None]
    colour = np.array([scrim.red, scrim.green, scrim.blue], np.float32)
    return np.round(ground * (1 - weight) + colour * weight).astype(np.uint8)


def _crop(pixels: Pixels, rect: Rect) -> Pixels:
    top, left = max(0, int(rect.y)), max(0, int(rect.x))
    return pixels[top : max(top + 1, int(rect.bottom) + 1), left : max(left + 1, int(rect.right) + 1)]


def _worst_contrast(ink: Colour, under: Pixels) -> float:
    channels = under.reshape(-1, 3).astype(np.float32) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    luminance = linear @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    extremes: Sequence[float] = (float(luminance.min()), float(luminance.max()))
    ratios = [(max(ink.luminance, y) + 0.05) / (min(ink.luminance, y) + 0.05) for y in extremes]
    return min(ratios)

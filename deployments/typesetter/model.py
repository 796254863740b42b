"""The typesetter as a model: a prompt or a layout in, a picture with exact words out.

Arithmetic and drawing, no network: the same request gives the same bytes wherever the same versions run.
"""

import asyncio
import base64
import hashlib
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import resvg_py
from pydantic import ValidationError

from deployments import errors, images
from deployments.model import PartialSink
from deployments.telemetry import (
    ATTR_HEIGHT,
    ATTR_MODEL,
    ATTR_REVISION,
    ATTR_WIDTH,
    SPAN_ENCODE_IMAGE,
    SPAN_TYPESET,
    open_span,
    tracer,
)
from deployments.types import (
    EncodedImage,
    Encoding,
    ImageFormat,
    ModelLoad,
    Pixels,
    RenderRequest,
    RenderResult,
    StageReceipt,
)
from deployments.typesetter.brand import BrandKit, load_brand_kits
from deployments.typesetter.colour import WHITE, worst_contrast
from deployments.typesetter.composer import compose
from deployments.typesetter.fonts import FontLibrary
from deployments.typesetter.layout import Kind, Layout
from deployments.typesetter.over_picture import PLATE_KINDS, compose_over
from deployments.typesetter.prompt import parse_prompt
from deployments.typesetter.scene import Scene, to_svg
from deployments.typesetter.spec import TypesetterSpec
from deployments.verify import inputs_sha256

MIN_SIDE_PX = 32
_SMOOTHING = 0.2
_BASE_MEGAPIXELS = 0.1


@dataclass(frozen=True, slots=True)
class _Drawing:
    """`picture` is what lies under the scene, already prepared for the words; None for a scene of its own."""

    scene: Scene
    layout: Layout
    text_source: str
    picture: Pixels | None
    scrim_ratio: float
    contrast: float


class TypesetterModel:
    """See deployments/model.py. `options["layout"]` (layout.Layout) overrules what the prompt says. With
    `options["words_only"]` a picture is the ground that a badge or a button would bring of its own."""

    def __init__(self, name: str, spec: TypesetterSpec) -> None:
        self._name = name
        self._spec = spec
        self._library: FontLibrary | None = None
        self._brands: Mapping[str, BrandKit] = {}
        self._revision = "typesetter-unloaded"
        self._lock = threading.Lock()
        self._running = 0
        self._observed = 0
        self._run_ms = 0.0
        self._ms_per_megapixel = 0.0

    @property
    def revision(self) -> str:
        """Of the code, the typefaces, the brand kits and the libraries that shape and draw."""
        return self._revision

    async def load(self) -> None:
        await asyncio.to_thread(self._load)

    def _load(self) -> None:
        self._library = FontLibrary([self._spec.fonts] if self._spec.fonts else [])
        if self._spec.brand_kits is not None:
            self._brands = load_brand_kits(self._spec.brand_kits, self._library.families)
        self._revision = _revision(self._library, self._spec)
        warm_up = RenderRequest(
            "warm-up", 'a badge that says "Ready 100%"', 256, 256, seed=0, encoding=Encoding()
        )
        self._render(warm_up)

    async def render(self, request: RenderRequest, on_partial: PartialSink | None = None) -> RenderResult:
        self._check(request)
        self._running += 1
        try:
            result = await asyncio.to_thread(self._render, request)
        finally:
            self._running -= 1
        self._observe(result.receipt)
        return result

    def _check(self, request: RenderRequest) -> None:
        width, height = _size(request)
        if width < MIN_SIDE_PX or height < MIN_SIDE_PX:
            raise errors.Unsupported(
                f"size {width}x{height} is too small for text: {MIN_SIDE_PX} px is the least", "size"
            )
        if width * height > self._spec.max_pixels:
            raise errors.Unsupported(
                f"size {width}x{height} is over the limit of {self._spec.max_pixels} pixels", "size"
            )
        remaining_s = request.remaining_s()
        if remaining_s is not None and remaining_s <= 0:
            raise errors.DeadlineExceeded("the deadline has passed before the text was set")

    def _render(self, request: RenderRequest) -> RenderResult:
        started = time.perf_counter()
        queue_ms = max(0.0, (time.time() - request.sent_unix_s) * 1000)
        width, height = _size(request)
        attributes: dict[str, str | int] = {
            ATTR_MODEL: self._name,
            ATTR_REVISION: self.revision,
            ATTR_WIDTH: width,
            ATTR_HEIGHT: height,
        }
        with open_span(tracer, SPAN_TYPESET, attributes=attributes):
            drawing = self._draw(request, width, height)
            is_svg = request.encoding is not None and request.encoding.format is ImageFormat.SVG
            pixels = None if is_svg else _rasterise(drawing, request.encoding)
        image, digest = _encode(drawing, pixels, request.encoding)
        receipt = StageReceipt(
            model=self._name,
            revision=self.revision,
            width=width,
            height=height,
            queue_ms=queue_ms,
            run_ms=(time.perf_counter() - started) * 1000,
            seed=request.seed,
            cost_usd=self._spec.pricing.usd_per_image,
            pixels_sha256=digest,
            details={
                "inputs_sha256": inputs_sha256(request.prompt, "", request.image),
                **_details(drawing),
            },
        )
        return RenderResult(image, receipt)

    def _draw(self, request: RenderRequest, width: int, height: int) -> _Drawing:
        library = self._library
        if library is None:
            raise errors.ModelFailed("the typesetter has not been loaded")
        layout, source = self._layout(request)
        if request.options.get("words_only") and layout.kind in PLATE_KINDS:
            layout = layout.model_copy(update={"kind": Kind.POSTER})
        with self._lock:  # glyph caches fill while composing; drawing runs unlocked
            if request.image is None:
                scene = compose(layout, width, height, request.seed, library, self._brands)
                contrast = min(worst_contrast(ink, scene.fills) for ink in set(scene.text.inks.values()))
                return _Drawing(scene, layout, source, None, 0.0, contrast)
            over = compose_over(request.image, layout, request.seed, library, self._brands)
        return _Drawing(over.scene, layout, source, over.picture, over.scrim_ratio, over.contrast)

    def _layout(self, request: RenderRequest) -> tuple[Layout, str]:
        given = request.options.get("layout")
        if given is not None:
            try:
                return Layout.model_validate(given), "layout"
            except ValidationError as error:
                raise errors.InvalidRequest(_explain(error), "layout") from None
        tokens = {token for kit in self._brands.values() for token in kit.tokens}
        default_kind = self._spec.default_kind if request.image is None else Kind.POSTER
        parsed = parse_prompt(request.prompt, default_kind, tokens)
        return parsed.layout, parsed.text_source

    def _observe(self, receipt: StageReceipt) -> None:
        """Learns one pace: time grows with pixels, on top of what `_BASE_MEGAPIXELS` take."""
        megapixels = receipt.width * receipt.height / 1e6
        pace = receipt.run_ms / (megapixels + _BASE_MEGAPIXELS)
        self._observed += 1
        share = 1.0 if self._observed == 1 else _SMOOTHING
        self._ms_per_megapixel += share * (pace - self._ms_per_megapixel)
        self._run_ms += share * (receipt.run_ms - self._run_ms)

    def load_report(self) -> ModelLoad:
        waiting = max(0, self._running - 1)
        return ModelLoad(
            wait_ms=waiting * self._run_ms,
            overhead_ms=self._ms_per_megapixel * _BASE_MEGAPIXELS,
            step_ms_per_megapixel=self._ms_per_megapixel,
            running=min(1, self._running),
            queued=waiting,
            observed=self._observed,
            work_ms=self._running * self._run_ms,
            request_work_ms=self._run_ms,
        )

    def check_health(self) -> None:
        return None

    async def close(self) -> None:
        return None


def _size(request: RenderRequest) -> tuple[int, int]:
    """Of the picture below the words, where there is one."""
    if request.image is not None:
        height, width = request.image.shape[:2]
        return width, height
    return request.width, request.height


def _rasterise(drawing: _Drawing, encoding: Encoding | None) -> Pixels:
    """RGB where nothing of the page shows through in the file asked for, RGBA otherwise."""
    over_picture = drawing.picture is not None
    page = None if encoding is None or encoding.transparent or over_picture else WHITE
    svg = to_svg(drawing.scene, page=page)
    pixels = images.decode(resvg_py.svg_to_bytes(svg_string=svg, skip_system_fonts=True))
    if drawing.picture is not None:
        return _over(pixels, drawing.picture)
    is_opaque = page is not None or drawing.scene.page is not None
    return np.ascontiguousarray(pixels[..., :3]) if is_opaque else pixels


def _over(words: Pixels, picture: Pixels) -> Pixels:
    """`words` (straight alpha) over `picture`, whose own alpha is kept."""
    if words.shape[2] == 3:
        return words
    alpha = words[..., 3:].astype("uint32")
    blended = picture[..., :3].astype("uint32") * (255 - alpha) + words[..., :3].astype("uint32") * alpha
    result = picture.copy()
    result[..., :3] = ((blended + 127) // 255).astype("uint8")
    if picture.shape[2] == 4:
        result[..., 3:] = alpha + (picture[..., 3:].astype("uint32") * (255 - alpha) + 127) // 255
    return result


def _encode(
    drawing: _Drawing, pixels: Pixels | None, encoding: Encoding | None
) -> tuple[Pixels | EncodedImage, str | None]:
    with open_span(tracer, SPAN_ENCODE_IMAGE) as span:
        if pixels is None:
            svg = _svg(drawing, encoding)
            return EncodedImage(svg, ImageFormat.SVG, drawing.scene.width, drawing.scene.height), None
        digest = images.sha256(pixels)
        if encoding is None:
            return pixels, digest
        span.set_attribute("atelier.format", encoding.format.value)
        return images.encode(pixels, encoding), digest


def _svg(drawing: _Drawing, encoding: Encoding | None) -> bytes:
    page = None if encoding is None or encoding.transparent else WHITE
    href = None
    if drawing.picture is not None:
        png = images.encode(drawing.picture, Encoding(ImageFormat.PNG, transparent=True)).data
        href = "data:image/png;base64," + base64.b64encode(png).decode()
    return to_svg(drawing.scene, page=page, picture_href=href).encode()


def _details(drawing: _Drawing) -> dict[str, Any]:
    block = drawing.scene.text.block
    fonts = sorted({glyph.font.family for line in block.lines for glyph in line.shaped.glyphs})
    return {
        "kind": drawing.layout.kind.value,
        "text_source": drawing.text_source,
        "lines": [line.shaped.text for line in block.lines],
        "font_size_px": round(block.size, 2),
        "fonts": fonts,
        "ink": drawing.scene.text.inks["title"].hex,
        "contrast_ratio": round(drawing.contrast, 2),
        "scrim_ratio": round(drawing.scrim_ratio, 3),
    }


def _explain(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(str(part) for part in ("layout", *first["loc"]))
    message = first["msg"].removeprefix("Value error, ")
    known = f"; it has {', '.join(Layout.model_fields)}" if first["type"] == "extra_forbidden" else ""
    return f"{place}: {message}{known}"


def _revision(library: FontLibrary, spec: TypesetterSpec) -> str:
    digest = hashlib.sha256(library.digest.encode())
    folder = Path(__file__).parent
    files = [*sorted(folder.glob("*.py")), folder / "icons.json"]
    if spec.brand_kits is not None:
        files += sorted(path for path in spec.brand_kits.iterdir() if path.is_file())
    for path in files:
        digest.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    for library_name in ("resvg-py", "uharfbuzz", "pillow"):
        digest.update(f"{library_name}=={version(library_name)}\n".encode())
    return f"typesetter-{digest.hexdigest()[:12]}"

"""A model that works in tiles: requests in, images out, many at once inside one memory budget.

One thread computes; requests take turns tile batch by tile batch, so that a large image does not hold up a
small one. A cancelled request stops before its next batch. Knows nothing of networks (backend.py).
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar, TypeVar

import numpy as np
from opentelemetry.trace import Span

from deployments import errors, images
from deployments.model import PartialSink
from deployments.telemetry import ATTR_HEIGHT, ATTR_TILES, ATTR_WIDTH, SPAN_ENCODE_IMAGE, open_span, tracer
from deployments.tiles.backend import Backend
from deployments.tiles.budget import ByteBudget
from deployments.tiles.grid import rounded
from deployments.tiles.pace import Pace
from deployments.tiles.spec import TiledSpec
from deployments.tiles.work import TileWork
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
from deployments.verify import inputs_sha256

T = TypeVar("T")

Finisher = Callable[[Pixels], None]
"""Changes pixels in place."""

FLATTEN_ROWS = 64
"""Alpha is composited this many rows at a time: doing it at once would hold 40 bytes a pixel."""


class TiledModel:
    """Implements `deployments.model.Model`; a kind of model adds its backend and the name of its span.

    The output is `factor` times the size of `request.image`.
    """

    span: ClassVar[str]

    def __init__(self, name: str, spec: TiledSpec, factor: int) -> None:
        self._name = name
        self._spec = spec
        self._factor = factor
        self._backend: Backend | None = None
        self._budget = ByteBudget(spec.tile_memory_bytes)
        self._worker = ThreadPoolExecutor(1, thread_name_prefix=f"tiles-{name}")
        self._pace = Pace()
        self._megapixels_ahead = 0.0
        self._usual_megapixels = 0.0
        self._running = 0

    def _load_backend(self) -> Backend:
        """Reads weights. Runs in the worker thread."""
        raise NotImplementedError

    def _finisher(self, request: RenderRequest) -> Finisher | None:
        """What is done to the whole output, in the worker thread. Raises InvalidRequest for bad options."""
        return None

    @property
    def revision(self) -> str:
        return self._loaded.revision

    async def load(self) -> None:
        """Raises ValueError for weights, or tiles, that do not fit."""
        backend = await self._in_worker(self._load_backend)
        rounded(self._spec.tile, self._spec.overlap, backend.align)
        self._backend = backend
        await self._in_worker(self._try_out)

    async def render(self, request: RenderRequest, on_partial: PartialSink | None = None) -> RenderResult:
        finisher = self._finisher(request)
        image = self._accepted(request)
        encoder = encoder_pixel_bytes(request.encoding)
        work = TileWork(self._loaded, self._spec, self._factor, image, encoder)
        self._refuse_what_comes_too_late(request, work)
        self._megapixels_ahead += work.megapixels
        share = 0.1 if self._usual_megapixels else 1.0
        self._usual_megapixels += share * (work.megapixels - self._usual_megapixels)
        try:
            await self._budget.acquire(work.reserved_bytes)
            return await self._render(request, work, finisher)
        finally:
            self._megapixels_ahead -= work.megapixels

    def load_report(self) -> ModelLoad:
        """Megapixels are those of the output."""
        return ModelLoad(
            wait_ms=self._megapixels_ahead * self._pace.ms_per_megapixel,
            overhead_ms=self._pace.overhead_ms,
            step_ms_per_megapixel=self._pace.ms_per_megapixel,
            running=self._running,
            queued=self._budget.waiting,
            observed=self._pace.observed,
            memory_bytes=self._budget.used_bytes,
            memory_limit_bytes=self._budget.limit_bytes,
            work_ms=self._megapixels_ahead * self._pace.ms_per_megapixel,
            request_work_ms=self._usual_megapixels * self._pace.ms_per_megapixel,
        )

    def check_health(self) -> None:
        """Raises RuntimeError once the device is lost."""
        self._loaded.check_health()

    async def close(self) -> None:
        self._worker.shutdown(wait=False, cancel_futures=True)

    @property
    def _loaded(self) -> Backend:
        if self._backend is None:
            raise RuntimeError(f"model {self._name} is not loaded")
        return self._backend

    def _accepted(self, request: RenderRequest) -> Pixels:
        image = request.image
        if image is None:
            raise errors.InvalidRequest(f"model {self._name} works on an image: send one", "image")
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] not in (3, 4) or image.size == 0:
            raise errors.InvalidRequest("image must be 8-bit RGB or RGBA pixels", "image")
        height, width = (extent * self._factor for extent in image.shape[:2])
        if height * width > self._spec.max_pixels:
            raise errors.Unsupported(
                f"{width}x{height} exceeds {self._spec.max_pixels} pixels, the most model {self._name} makes",
                "image",
            )
        if request.encoding is not None and request.encoding.format is ImageFormat.SVG:
            raise errors.Unsupported(f"model {self._name} makes pixels, not svg", "output_format")
        return image

    def _refuse_what_comes_too_late(self, request: RenderRequest, work: TileWork) -> None:
        """Counts the request's own time at its best: what is ahead of it may yet be cancelled."""
        remaining_s = request.remaining_s()
        if remaining_s is None:
            return
        predicted_ms = self._pace.least_ms(work.megapixels)
        if predicted_ms > remaining_s * 1000:
            self._pace.refused()
            raise errors.DeadlineExceeded("the work would take longer than the time left", predicted_ms)

    async def _render(
        self, request: RenderRequest, work: TileWork, finisher: Finisher | None
    ) -> RenderResult:
        """Owns the reserved bytes from here on: they are free when no thread works on the image any more."""
        queue_ms = max(0.0, (time.time() - request.sent_unix_s) * 1000)
        started = time.perf_counter()
        self._running += 1
        try:
            busy_s = await self._compute(work)
            if finisher is not None:
                await self._in_worker(lambda: finisher(work.output))
            digest = await self._in_worker(lambda: images.sha256(work.output))
            inputs = await self._in_worker(lambda: inputs_sha256("", "", request.image))
            encoded = await self._encoded(work.output, request.encoding)
        except asyncio.CancelledError:
            self._release_after_current_batch(work.reserved_bytes)
            raise
        except BaseException:
            self._budget.release(work.reserved_bytes)
            raise
        else:
            self._budget.release(work.reserved_bytes)
        finally:
            self._running -= 1
        run_ms = (time.perf_counter() - started) * 1000
        return RenderResult(encoded, self._receipt(work, inputs, digest, queue_ms, run_ms, busy_s))

    async def _compute(self, work: TileWork) -> float:
        """Seconds of computing, without those in which other requests had their turn."""
        busy_s, done = 0.0, 0
        steps = work.steps()
        with open_span(tracer, self.span) as span:
            span.set_attribute(ATTR_TILES, work.tiles)
            while (step := await self._in_worker(lambda: _timed(lambda: next(steps, 0))))[0]:
                count, took_s = step
                busy_s += took_s
                done += count
                _report_progress(span, done, work.tiles)
            height, width = work.output.shape[:2]
            span.set_attributes({ATTR_WIDTH: width, ATTR_HEIGHT: height})
        self._pace.observe(work.megapixels, busy_s * 1000)
        return busy_s

    async def _encoded(self, pixels: Pixels, encoding: Encoding | None) -> Pixels | EncodedImage:
        if encoding is None:
            return pixels
        with open_span(tracer, SPAN_ENCODE_IMAGE):
            return await self._in_worker(
                lambda: images.encode(_without_unwanted_alpha(pixels, encoding), encoding)
            )

    def _receipt(
        self, work: TileWork, inputs: str, digest: str, queue_ms: float, run_ms: float, busy_s: float
    ) -> StageReceipt:
        height, width = work.output.shape[:2]
        pricing, gpu_s = self._spec.pricing, busy_s * self._spec.num_gpus
        return StageReceipt(
            model=self._name,
            revision=self.revision,
            width=width,
            height=height,
            queue_ms=queue_ms,
            run_ms=run_ms,
            gpu_s=gpu_s,
            cost_usd=pricing.usd_per_image + gpu_s / 3600 * pricing.usd_per_gpu_hour,
            pixels_sha256=digest,
            details={
                "factor": work.factor,
                "inputs_sha256": inputs,
                "tiles": work.tiles,
                "tile_batch": work.tile_batch,
                "reserved_bytes": work.reserved_bytes,
                **self._loaded.versions,
            },
        )

    def _try_out(self) -> None:
        """A tiny and a small image: their times give the overhead and a first guess of the pace."""
        self._seconds_for(8)
        overhead_ms, small_ms = self._seconds_for(8) * 1000, self._seconds_for(64) * 1000
        megapixels = (64 * self._factor) ** 2 / 1e6
        self._pace.assume(overhead_ms, max(0.0, small_ms - overhead_ms) / megapixels)

    def _seconds_for(self, side: int) -> float:
        work = TileWork(self._loaded, self._spec, self._factor, np.zeros((side, side, 3), np.uint8))
        return _timed(lambda: sum(work.steps()))[1]

    async def _in_worker(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._worker, call)

    def _release_after_current_batch(self, size_bytes: int) -> None:
        """The thread may still hold what a cancelled request reserved; calls after it run when it is done."""
        loop = asyncio.get_running_loop()
        try:
            self._worker.submit(loop.call_soon_threadsafe, self._budget.release, size_bytes)
        except RuntimeError:  # closed: nothing runs any more
            self._budget.release(size_bytes)


def encoder_pixel_bytes(encoding: Encoding | None) -> int:
    """What encoding takes beside the pixels: a flattened copy of 3 bytes, the encoder's own, the file.

    Measured on noise, rounded up: beside RGB pixels PNG and JPEG take 10 bytes, WebP 18, with alpha 38.
    """
    match encoding:
        case None:
            return 0
        case Encoding(format=ImageFormat.WEBP, transparent=transparent):
            return 38 if transparent else 3 + 18
        case _:
            return 3 + 10


def _timed(call: Callable[[], T]) -> tuple[T, float]:
    started = time.perf_counter()
    return call(), time.perf_counter() - started


def _report_progress(span: Span, done: int, tiles: int) -> None:
    span.add_event("tiles", {"atelier.tiles_done": done, ATTR_TILES: tiles})


def _without_unwanted_alpha(pixels: Pixels, encoding: Encoding) -> Pixels:
    if pixels.shape[2] == 3 or (encoding.transparent and encoding.format is not ImageFormat.JPEG):
        return pixels
    opaque = np.empty((*pixels.shape[:2], 3), np.uint8)
    for top in range(0, len(pixels), FLATTEN_ROWS):
        rows = slice(top, top + FLATTEN_ROWS)
        opaque[rows] = images.flatten(pixels[rows])
    return opaque

"""An echo model that ships with the code: a flat picture after a known time, or a known failure.

For tests of everything around a model, for load tests with known service times, and for benchmarks of
the router. It is a real deployment with a real queue; only the picture is trivial.
"""

import asyncio
import heapq
import time
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from deployments import errors, images
from deployments.model import PartialSink
from deployments.spec import BaseSpec
from deployments.types import (
    EncodedImage,
    Encoding,
    ModelLoad,
    PartialImage,
    Pixels,
    RenderRequest,
    RenderResult,
    StageReceipt,
)


class EchoSpec(BaseSpec):
    """`latency_ms` per request, at most `concurrency` at once (0: unbounded).

    `fails_with` makes every request whose prompt contains `fails_on` (default: all) fail that way;
    "torch_out_of_memory" raises torch's own error class.
    """

    kind: Literal["echo"]
    latency_ms: Annotated[float, Field(ge=0)] = 0.0
    concurrency: Annotated[int, Field(ge=0)] = 0
    capability: Literal["generate", "edit", "upscale", "typeset"] = "generate"
    scale: Annotated[int, Field(ge=1, le=8)] = 1
    default_width: int = 64
    default_height: int = 64
    fails_with: Literal["torch_out_of_memory", "model_error", "crash", "capacity", "hang"] | None = None
    fails_on: str = ""


class EchoModel:
    """Paints the whole image in a colour derived from the seed."""

    revision = "echo-1"

    def __init__(self, name: str, spec: EchoSpec) -> None:
        self._name = name
        self._spec = spec
        self._slots = asyncio.Semaphore(spec.concurrency) if spec.concurrency else None
        self._running = 0
        self._waiting = 0
        self._ends_s: list[float] = []

    async def load(self) -> None:
        return None

    async def render(self, request: RenderRequest, on_partial: PartialSink | None = None) -> RenderResult:
        arrived = time.perf_counter()
        if self._spec.fails_with and self._spec.fails_on in request.prompt:
            await self._fail()
        started = arrived
        if self._slots is None:
            await self._work()
        else:
            self._waiting += 1
            try:
                await self._slots.acquire()
            finally:
                self._waiting -= 1
            try:
                started = time.perf_counter()
                await self._work()
            finally:
                self._slots.release()
        if on_partial is not None:
            preview = images.encode(self._pixels(request), Encoding())
            for index in range(request.partial_images):
                on_partial(PartialImage(index, preview))
        return self._result(request, (started - arrived) * 1000, (time.perf_counter() - started) * 1000)

    async def _work(self) -> None:
        ends_s = time.perf_counter() + self._spec.latency_ms / 1000
        self._running += 1
        self._ends_s.append(ends_s)
        try:
            if self._spec.latency_ms:
                await asyncio.sleep(self._spec.latency_ms / 1000)
        finally:
            self._running -= 1
            self._ends_s.remove(ends_s)

    async def _fail(self) -> None:
        match self._spec.fails_with:
            case "torch_out_of_memory":
                import torch

                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")
            case "model_error":
                raise RuntimeError("the echo model was told to fail")
            case "capacity":
                raise errors.CapacityRefused("the echo model was told to be full", 1.0)
            case "crash":
                import os
                import signal

                os.kill(os.getpid(), signal.SIGKILL)
            case "hang":
                self._running += 1
                try:
                    await asyncio.Event().wait()
                finally:
                    self._running -= 1

    def _result(self, request: RenderRequest, queue_ms: float, run_ms: float) -> RenderResult:
        pixels = self._pixels(request)
        image: Pixels | EncodedImage = pixels
        if request.encoding is not None:
            image = images.encode(pixels, request.encoding)
        height, width = pixels.shape[:2]
        receipt = StageReceipt(
            model=self._name,
            revision=self.revision,
            width=width,
            height=height,
            queue_ms=queue_ms,
            run_ms=run_ms,
            seed=request.seed,
            pixels_sha256=images.sha256(pixels),
        )
        return RenderResult(image, receipt)

    def _pixels(self, request: RenderRequest) -> Pixels:
        if self._spec.capability == "upscale":
            if request.image is None:
                raise errors.InvalidRequest("an upscaler needs an image", "image")
            return np.ascontiguousarray(
                request.image.repeat(self._spec.scale, axis=0).repeat(self._spec.scale, axis=1)
            )
        colour = np.frombuffer(request.seed.to_bytes(8, "little"), np.uint8)[:3]
        return np.broadcast_to(colour, (request.height, request.width, 3)).copy()

    def load_report(self) -> ModelLoad:
        return ModelLoad(
            wait_ms=self._wait_ms(),
            overhead_ms=self._spec.latency_ms,
            running=self._running,
            queued=self._waiting,
            observed=1,
            parallelism=self._places,
            work_ms=self._work_ms(),
            request_work_ms=self._spec.latency_ms / self._places,
        )

    @property
    def _places(self) -> int:
        return self._spec.concurrency or self._spec.max_ongoing_requests

    def _work_ms(self) -> float:
        """Of what runs only what is left of it, all of it spread over the places that it fills."""
        now_s = time.perf_counter()
        left_ms = sum(max(0.0, ends_s - now_s) for ends_s in self._ends_s) * 1000
        left_ms += self._waiting * self._spec.latency_ms
        return left_ms / max(1, min(self._places, self._running + self._waiting))

    def _wait_ms(self) -> float:
        """Until a slot is free for a new request, behind those that wait."""
        free_slots = self._spec.concurrency - len(self._ends_s)
        if self._slots is None or free_slots > self._waiting:
            return 0.0
        ends_s = sorted(self._ends_s)
        for _ in range(self._waiting):
            heapq.heapreplace(ends_s, ends_s[0] + self._spec.latency_ms / 1000)
        return max(0.0, ends_s[0] - time.perf_counter()) * 1000 if ends_s else 0.0

    def check_health(self) -> None:
        return None

    async def close(self) -> None:
        return None

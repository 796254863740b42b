"""A hosted model: `deployments.model.Model` around a provider's adapter.

Checks and maps before anything is sent, waits for its turn, calls inside the deadline, tries again only what
the provider did not bill, fetches and checks the result. Knows no provider.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TypeVar

from opentelemetry.trace import SpanKind

from deployments import errors, images
from deployments.hosted import pictures
from deployments.hosted.failures import Unreachable
from deployments.hosted.fetch import Fetcher
from deployments.hosted.keys import KeyUnavailable
from deployments.hosted.pacing import Pacing
from deployments.hosted.provider import Answer, Provider, Send, TimedOut
from deployments.hosted.spec import HostedSpec
from deployments.model import PartialSink
from deployments.telemetry import (
    ATTR_OUTCOME,
    ATTR_PROVIDER,
    SPAN_ENCODE_IMAGE,
    SPAN_HOSTED_CALL,
    SPAN_HOSTED_FETCH,
    open_span,
    tracer,
)
from deployments.types import EncodedImage, ModelLoad, Pixels, RenderRequest, RenderResult, StageReceipt

logger = logging.getLogger("atelier.hosted")

BACK_OFF_S = 1.0
"""Pause after a rate limit without Retry-After, and after a connection that did not come about."""

HAND_OVER_S = 0.05
"""Kept of the deadline, so that the answer of this replica still arrives before its caller gives up."""

PAST_WEIGHT = 0.8
"""Of the mean duration, when a new one comes: the last ten or so decide."""

T = TypeVar("T")


@dataclass(slots=True)
class _Work:
    """One request on its way. Instants are monotonic: `ends_s`, which is the caller's deadline or comes of
    `timeout_s`, and `asked_s`, when the provider was asked last."""

    ends_s: float
    is_deadline: bool
    asked_s: float = 0.0
    paid: bool = False

    def left_s(self) -> float:
        return self.ends_s - time.monotonic()


@dataclass(frozen=True, slots=True)
class _Picture:
    image: Pixels | EncodedImage
    pixels_sha256: str


class HostedModel:
    """Implements `deployments.model.Model`. An image whose provider answered with success is paid for,
    whatever becomes of it, and so is one that was given up after it was asked for."""

    def __init__(self, name: str, spec: HostedSpec, provider: Provider, fetcher: Fetcher) -> None:
        self._name = name
        self._spec = spec
        self._provider = provider
        self._fetcher = fetcher
        self._pacing = Pacing(spec.requests_per_minute)
        self._running = 0
        self._mean_ms = spec.expected_ms
        self._observed = 0

    @property
    def revision(self) -> str:
        return self._provider.revision

    async def load(self) -> None:
        """Nothing is asked of the provider: an image for trying out would be billed."""

    async def render(self, request: RenderRequest, on_partial: PartialSink | None = None) -> RenderResult:
        work = self._work(request)
        self._running += 1
        try:
            send = await self._prepared(request)
            answer = await self._within(work, self._answered(send, work))
            data = await self._within(work, self._data(answer, work))
            picture = await asyncio.to_thread(self._picture, data, request)
        except errors.RenderError as error:
            error.cost_usd = self._spec.pricing.usd_per_image if work.paid else 0.0
            raise
        finally:
            self._running -= 1
        run_ms = (time.monotonic() - work.asked_s) * 1000
        self._observe(run_ms)
        return RenderResult(picture.image, self._receipt(answer, picture, request, run_ms))

    def load_report(self) -> ModelLoad:
        return ModelLoad(
            wait_ms=self._pacing.closed_for_s() * 1000,
            overhead_ms=self._mean_ms,
            running=self._running,
            observed=self._observed,
            parallelism=self._spec.max_ongoing_requests,
            work_ms=self._running * self._mean_ms / self._spec.max_ongoing_requests,
            request_work_ms=self._mean_ms / self._spec.max_ongoing_requests,
        )

    def check_health(self) -> None:
        """A provider that is down is no reason to replace the replica."""

    async def close(self) -> None:
        await self._provider.close()
        await self._fetcher.close()

    async def _prepared(self, request: RenderRequest) -> Send:
        if request.image is None:
            return self._provider.prepare(request)
        return await asyncio.to_thread(self._provider.prepare, request)

    def _work(self, request: RenderRequest) -> _Work:
        remaining_s = request.remaining_s()
        limit_s = self._spec.timeout_s
        is_deadline = remaining_s is not None and remaining_s - HAND_OVER_S < limit_s
        if remaining_s is not None and is_deadline:
            limit_s = max(0.0, remaining_s - HAND_OVER_S)
        return _Work(time.monotonic() + limit_s, is_deadline)

    async def _within(self, work: _Work, doing: Awaitable[T]) -> T:
        """Ends what takes too long, whichever wait it is in."""
        try:
            async with asyncio.timeout(max(0.0, work.left_s())):
                return await doing
        except (TimeoutError, TimedOut):
            if work.is_deadline:
                raise errors.DeadlineExceeded(
                    f"{self._provider.name} took longer than the time left"
                ) from None
            said = f"{self._provider.name} took longer than {self._spec.timeout_s:g} s"
            raise errors.ModelFailed(said) from None

    async def _answered(self, send: Send, work: _Work) -> Answer:
        """Sends, and sends again what was not taken while there is time for it."""
        if work.left_s() <= 0:
            raise TimedOut
        for tries_left in range(self._spec.retries, -1, -1):
            await self._pacing.start(self._patience_s(work))
            try:
                return await self._call(send, work)
            except errors.CapacityRefused as busy:
                self._pacing.pause(BACK_OFF_S if busy.retry_after_s is None else busy.retry_after_s)
                if tries_left == 0:
                    raise
            except Unreachable:
                if tries_left == 0 or self._patience_s(work) < BACK_OFF_S:
                    raise
                await asyncio.sleep(BACK_OFF_S)
        raise AssertionError("unreachable")

    def _patience_s(self, work: _Work) -> float:
        """How long waiting makes sense: after it a call must still fit."""
        return max(0.0, work.left_s() - self._mean_ms / 1000)

    async def _call(self, send: Send, work: _Work) -> Answer:
        with tracer.start_as_current_span(
            SPAN_HOSTED_CALL,
            kind=SpanKind.CLIENT,
            attributes={ATTR_PROVIDER: self._provider.name},
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            work.asked_s = time.monotonic()
            work.paid = True  # as long as nobody says otherwise: cancelling does not end it over there
            try:
                answer = await send(max(0.001, work.left_s()))
            except KeyUnavailable as error:
                work.paid = False
                logger.error("model %s: %s", self._name, error)
                raise errors.ModelFailed(f"the API key of {self._provider.name} is missing") from None
            except errors.RenderError as error:
                work.paid = False
                span.set_attribute(ATTR_OUTCOME, error.code)
                logger.warning("model %s: %s", self._name, error.message)
                raise
            outcome = "ok" if answer.failure is None else answer.failure.code
            span.set_attribute(ATTR_OUTCOME, outcome)
            return answer

    async def _data(self, answer: Answer, work: _Work) -> bytes:
        if answer.failure is not None:
            raise answer.failure
        if answer.data is not None:
            return answer.data
        if answer.url is None:
            raise errors.ModelFailed(f"{self._provider.name} answered without an image")
        with tracer.start_as_current_span(
            SPAN_HOSTED_FETCH, kind=SpanKind.CLIENT, record_exception=False, set_status_on_exception=False
        ):
            return await self._fetcher.fetch(answer.url, max(0.001, work.left_s()))

    def _picture(self, data: bytes, request: RenderRequest) -> _Picture:
        decoded = pictures.decode(data, self._spec.max_result_bytes)
        pixels = pictures.fitted(decoded, request.width, request.height)
        image: Pixels | EncodedImage = pixels
        if request.encoding is not None:
            with open_span(tracer, SPAN_ENCODE_IMAGE):
                image = images.encode(pixels, request.encoding)
        return _Picture(image, images.sha256(pixels))

    def _observe(self, run_ms: float) -> None:
        weight = PAST_WEIGHT if self._observed else 0.0
        self._mean_ms = weight * self._mean_ms + (1 - weight) * run_ms
        self._observed += 1

    def _receipt(
        self, answer: Answer, picture: _Picture, request: RenderRequest, run_ms: float
    ) -> StageReceipt:
        """Waiting for the provider's rate limit counts as queueing."""
        total_ms = (time.time() - request.sent_unix_s) * 1000
        return StageReceipt(
            model=self._name,
            revision=self.revision,
            width=request.width,
            height=request.height,
            queue_ms=max(0.0, total_ms - run_ms),
            run_ms=run_ms,
            seed=answer.seed,
            cost_usd=self._spec.pricing.usd_per_image,
            pixels_sha256=picture.pixels_sha256,
            details={"provider": self._provider.name, **answer.details},
        )

"""The Ray Serve deployment around a model: one process, one model, many requests.

Brings each request its trace context and deadline, and turns whatever the model raises into the error
tree, so that callers see outcomes and never a library's exception. A plain class: bind.py makes it a
deployment.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.util.types import AttributeValue

from deployments import errors, telemetry
from deployments.autoscaling import REQUEST_METRIC, WORK_METRIC
from deployments.catalog import ModelSpec, build_model
from deployments.memory import is_out_of_memory
from deployments.metrics import ReplicaMetrics
from deployments.starting import cannot_start
from deployments.types import ModelLoad, PartialImage, RenderRequest, RenderResult

logger = logging.getLogger("atelier.replica")

FLUSH_INTERVAL_S = 1.0


class ModelReplica:
    """Hosts the model that `spec` describes under the name `name`."""

    # Ray Serve awaits a coroutine constructor; the replica counts as ready when it returns. When it raises,
    # Ray Serve tries again, up to three times per replica that is wanted, then gives the deployment up.
    async def __init__(  # type: ignore[misc]
        self, name: str, spec: ModelSpec, process: telemetry.ProcessTelemetry
    ) -> None:
        telemetry.configure_process(process, component=name)
        self._name = name
        self._metrics = ReplicaMetrics(name)
        self._model = build_model(name, spec, self._metrics)
        await self._load()
        self._flushing = asyncio.create_task(self._flush_metrics())
        # Ray Serve awaits `__del__` when it stops a replica. Of the instance and not of the class, where
        # Python's garbage collection would call it too, and could not await it.
        setattr(self, "__del__", self._close)  # noqa: B010

    async def render(self, request: RenderRequest) -> RenderResult:
        with self._hop(request):
            async with _deadline(request):
                return await self._model.render(request)

    async def render_stream(self, request: RenderRequest) -> AsyncIterator[PartialImage | RenderResult]:
        """Previews as they come, then the result."""
        events: asyncio.Queue[PartialImage | RenderResult | BaseException] = asyncio.Queue()

        async def produce() -> None:
            try:
                with self._hop(request):
                    async with _deadline(request):
                        events.put_nowait(await self._model.render(request, events.put_nowait))
            except BaseException as error:
                events.put_nowait(error)

        producer = asyncio.create_task(produce())
        try:
            while True:
                event = await events.get()
                if isinstance(event, BaseException):
                    raise event
                yield event
                if isinstance(event, RenderResult):
                    return
        finally:
            producer.cancel()

    def load_report(self) -> ModelLoad:
        return self._model.load_report()

    def record_autoscaling_stats(self) -> dict[str, float]:
        """Read by Ray Serve's autoscaler, for the policy in autoscaling.py."""
        load = self._model.load_report()
        return {WORK_METRIC: load.work_ms / 1000, REQUEST_METRIC: load.request_work_ms / 1000}

    def check_health(self) -> None:
        self._model.check_health()

    async def _load(self) -> None:
        started = time.perf_counter()
        try:
            await self._model.load()
        except Exception as error:
            logger.exception("model %s cannot start", self._name)
            raise cannot_start(error) from None
        logger.info("model %s loaded in %.1f s", self._name, time.perf_counter() - started)

    async def _flush_metrics(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_INTERVAL_S)
            try:
                self._metrics.flush(self._model.load_report())
            except Exception:
                logger.exception("metrics of model %s could not be passed on", self._name)

    async def _close(self) -> None:
        self._flushing.cancel()
        await self._model.close()

    @contextmanager
    def _hop(self, request: RenderRequest) -> Iterator[None]:
        """The replica's span and error boundary around one request."""
        token = otel_context.attach(telemetry.context_from(request.trace))
        attributes: dict[str, AttributeValue] = {
            telemetry.ATTR_MODEL: self._name,
            telemetry.ATTR_REQUEST_ID: request.request_id,
            telemetry.ATTR_WIDTH: request.width,
            telemetry.ATTR_HEIGHT: request.height,
        }
        try:
            with telemetry.tracer.start_as_current_span(
                telemetry.SPAN_REPLICA,
                kind=SpanKind.SERVER,
                attributes=attributes,
                record_exception=False,
                set_status_on_exception=False,
            ) as span:
                _record_queue(request)
                try:
                    with self._errors(request):
                        yield
                except errors.RenderError as error:
                    span.set_attribute(telemetry.ATTR_OUTCOME, error.code)
                    span.set_status(Status(StatusCode.ERROR, error.code))
                    raise
                except asyncio.CancelledError:
                    span.set_attribute(telemetry.ATTR_OUTCOME, "cancelled")
                    raise
                span.set_attribute(telemetry.ATTR_OUTCOME, "ok")
        finally:
            otel_context.detach(token)

    @contextmanager
    def _errors(self, request: RenderRequest) -> Iterator[None]:
        try:
            yield
        except errors.RenderError:
            raise
        except Exception as error:
            if is_out_of_memory(error):
                logger.warning("model %s ran out of memory for request %s", self._name, request.request_id)
                raise errors.OutOfMemory(f"model {self._name} ran out of memory") from None
            logger.exception("model %s failed for request %s", self._name, request.request_id)
            raise errors.ModelFailed(f"model {self._name} failed") from None


@asynccontextmanager
async def _deadline(request: RenderRequest) -> AsyncIterator[None]:
    """Refuses at once what is already too late; cancels the work when its time is up."""
    remaining_s = request.remaining_s()
    if remaining_s is not None and remaining_s <= 0:
        raise errors.DeadlineExceeded("the deadline had passed before the work began")
    timeout = asyncio.timeout(remaining_s)
    try:
        async with timeout:
            yield
    except TimeoutError:
        if not timeout.expired():
            raise
        raise errors.DeadlineExceeded("the deadline passed while the model was working") from None


def _record_queue(request: RenderRequest) -> None:
    """A span from sending to now: the time in Ray's queues. Its start is the sender's clock."""
    now_ns = time.time_ns()
    start_ns = min(int(request.sent_unix_s * 1e9), now_ns)
    span = telemetry.tracer.start_span(telemetry.SPAN_QUEUE, start_time=start_ns)
    span.set_attribute(telemetry.ATTR_QUEUE_MS, (now_ns - start_ns) / 1e6)
    span.end(now_ns)
    trace.get_current_span().set_attribute(telemetry.ATTR_QUEUE_MS, (now_ns - start_ns) / 1e6)

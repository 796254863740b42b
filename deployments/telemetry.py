"""Names of the spans and attributes that model replicas emit, and how a trace crosses to them.

Also sets up a process once: exporter and logging. Without an endpoint no provider is installed, and
every span here costs next to nothing.
"""

import logging
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.util.types import AttributeValue

tracer = trace.get_tracer("atelier.deployments")

# Spans, from the outside in.
SPAN_REPLICA = "replica.render"
SPAN_QUEUE = "replica.queue"
SPAN_TEXT_ENCODE = "text_encode"
SPAN_DENOISE = "denoise"
SPAN_DECODE = "decode"
SPAN_UPSCALE = "upscale"
SPAN_RESTORE = "restore"
SPAN_TYPESET = "typeset"
SPAN_HOSTED_CALL = "hosted.call"
SPAN_HOSTED_FETCH = "hosted.fetch"
SPAN_ENCODE_IMAGE = "encode_image"

# Attributes. Units are in the names.
ATTR_MODEL = "atelier.model"
ATTR_REVISION = "atelier.revision"
ATTR_REQUEST_ID = "atelier.request_id"
ATTR_SEED = "atelier.seed"
ATTR_STEPS = "atelier.steps"
ATTR_WIDTH = "atelier.width"
ATTR_HEIGHT = "atelier.height"
ATTR_OUTCOME = "atelier.outcome"
ATTR_BATCH_SIZE = "atelier.batch_size"
ATTR_TILES = "atelier.tiles"
ATTR_QUEUE_MS = "atelier.queue_ms"
ATTR_PROVIDER = "atelier.provider"

# Metrics: name, then label names. Ray's metrics agent adds the prefix `ray_`.
METRIC_STEPS = "atelier_steps_total"  # model, shape
METRIC_STEP_REQUESTS = "atelier_step_requests_total"  # model, shape; over steps: the mean batch
METRIC_STEP_SECONDS = "atelier_step_seconds_total"  # model, shape
METRIC_STEP_PREDICTED_SECONDS = "atelier_step_predicted_seconds_total"  # model, shape
METRIC_STEP_ERROR_SECONDS = "atelier_step_error_seconds_total"  # model, shape; |predicted - taken|
METRIC_STEP_OUT_OF_MEMORY = "atelier_step_out_of_memory_total"  # model, shape
METRIC_BATCH_CAP = "atelier_batch_cap"  # gauge: model, shape
METRIC_RUNNING = "atelier_replica_running"  # gauge: model
METRIC_QUEUED = "atelier_replica_queued"  # gauge: model
METRIC_WAIT_MS = "atelier_replica_wait_ms"  # gauge: model


def carrier() -> dict[str, str]:
    """The current trace context as W3C headers, to be sent along with a request."""
    headers: dict[str, str] = {}
    propagate.inject(headers)
    return headers


@contextmanager
def open_span(
    tracer: trace.Tracer,
    name: str,
    kind: SpanKind = SpanKind.INTERNAL,
    attributes: Mapping[str, AttributeValue] | None = None,
    context: Context | None = None,
) -> Iterator[trace.Span]:
    """A current span that an exception marks as failed by its type alone: what exceptions say, prompts and
    paths among it, is for the log."""
    with tracer.start_as_current_span(
        name,
        context,
        kind,
        attributes,
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            yield span
        except Exception as error:
            span.set_status(Status(StatusCode.ERROR, type(error).__name__))
            raise


def trace_id(span: trace.Span) -> str | None:
    """As traceparent writes it: 32 hex digits. None where nothing is recorded."""
    context = span.get_span_context()
    return f"{context.trace_id:032x}" if context.is_valid else None


def context_from(headers: Mapping[str, str]) -> Context:
    return propagate.extract(headers)


@dataclass(frozen=True, slots=True)
class ProcessTelemetry:
    """How a process exports spans. Without an endpoint nothing is recorded or sent.

    `sample_ratio` is applied at the root of a trace only; a caller's sampled flag is honoured.
    """

    otlp_endpoint: str | None = None
    service_name: str = "atelier"
    sample_ratio: float = 1.0
    log_level: str = "INFO"


_configured = threading.Lock()


def configure_process(process: ProcessTelemetry, component: str) -> None:
    """Sets up logging and the tracer provider of this process. Only the first call has an effect."""
    if not _configured.acquire(blocking=False):
        return
    configure_logging(process.log_level)
    if process.otlp_endpoint is None:
        return
    resource = Resource.create(
        {"service.name": process.service_name, "service.instance.id": f"{component}-{uuid.uuid4().hex[:8]}"}
    )
    provider = TracerProvider(resource=resource, sampler=ParentBased(TraceIdRatioBased(process.sample_ratio)))
    exporter = OTLPSpanExporter(endpoint=f"{process.otlp_endpoint.rstrip('/')}/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=500))
    trace.set_tracer_provider(provider)


def configure_logging(level: str) -> None:
    """Our logs go to stderr with the trace they belong to."""
    handler = logging.StreamHandler()
    handler.setFormatter(TraceFormatter("%(asctime)s %(levelname)s %(name)s [%(trace_id)s] %(message)s"))
    root = logging.getLogger("atelier")
    root.handlers = [handler]
    root.setLevel(level)
    root.propagate = False


class TraceFormatter(logging.Formatter):
    """Adds `trace_id` (32 hex digits, or "-" outside a trace) to every record."""

    def format(self, record: logging.LogRecord) -> str:
        record.trace_id = trace_id(trace.get_current_span()) or "-"
        return super().format(record)

"""Names of the spans and attributes that model replicas emit, and how a trace crosses to them.

Uses the OpenTelemetry API only: without a configured provider every call here costs next to nothing.
Providers are configured by whoever owns the process (replica.py, serve/).
"""

from collections.abc import Mapping

from opentelemetry import propagate, trace
from opentelemetry.context import Context

tracer = trace.get_tracer("atelier.deployments")

# Spans, from the outside in.
SPAN_REPLICA = "replica.render"
SPAN_QUEUE = "replica.queue"
SPAN_TEXT_ENCODE = "text_encode"
SPAN_DENOISE = "denoise"
SPAN_DECODE = "decode"
SPAN_UPSCALE = "upscale"
SPAN_TYPESET = "typeset"
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


def carrier() -> dict[str, str]:
    """The current trace context as W3C headers, to be sent along with a request."""
    headers: dict[str, str] = {}
    propagate.inject(headers)
    return headers


def context_from(headers: Mapping[str, str]) -> Context:
    return propagate.extract(headers)

import logging

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from deployments import telemetry


def test_a_trace_crosses_as_headers() -> None:
    with TracerProvider().get_tracer("t").start_as_current_span("caller") as span:
        headers = telemetry.carrier()
    context = trace.get_current_span(telemetry.context_from(headers)).get_span_context()
    assert context.trace_id == span.get_span_context().trace_id
    assert context.span_id == span.get_span_context().span_id
    assert telemetry.carrier() == {}


def test_log_lines_name_their_trace() -> None:
    formatter = telemetry.TraceFormatter("%(trace_id)s %(message)s")
    record = logging.LogRecord("atelier", logging.INFO, __file__, 1, "hello", None, None)
    assert formatter.format(record) == "- hello"
    with TracerProvider().get_tracer("t").start_as_current_span("caller") as span:
        assert formatter.format(record) == f"{span.get_span_context().trace_id:032x} hello"

import logging
import threading

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from deployments import telemetry
from tests.otlp import receiver


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


def test_with_an_endpoint_spans_are_sent_and_only_the_first_call_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(telemetry, "_configured", threading.Lock())
    monkeypatch.setattr(telemetry, "configure_logging", lambda _: None)
    installed: list[TracerProvider] = []
    monkeypatch.setattr(trace, "set_tracer_provider", installed.append)
    with receiver() as spans:
        process = telemetry.ProcessTelemetry(f"{spans.endpoint}/", "shop", sample_ratio=0.0)
        telemetry.configure_process(process, component="painter")
        telemetry.configure_process(process, component="painter")
        [provider] = installed
        tracer = provider.get_tracer("t")
        tracer.start_span("dropped by the ratio").end()
        sampled = telemetry.context_from({"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"})
        tracer.start_span("sampled by the caller", context=sampled).end()
        provider.shutdown()
    assert [span.name for span in spans.spans] == ["sampled by the caller"]
    assert provider.resource.attributes["service.name"] == "shop"
    assert str(provider.resource.attributes["service.instance.id"]).startswith("painter-")


def test_without_an_endpoint_nothing_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telemetry, "_configured", threading.Lock())
    levels: list[str] = []
    monkeypatch.setattr(telemetry, "configure_logging", levels.append)
    monkeypatch.setattr(trace, "set_tracer_provider", lambda _: pytest.fail("a provider was installed"))
    telemetry.configure_process(telemetry.ProcessTelemetry(log_level="DEBUG"), component="painter")
    assert levels == ["DEBUG"]

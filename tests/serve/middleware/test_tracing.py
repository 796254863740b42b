import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from deployments import errors
from deployments.types import RenderRequest, RenderResult
from serve import telemetry
from tests.serve.gateways import gateway, http

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
CALLER = "b7ad6b7169203331"


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """What the gateway records, with a provider that no other test sees."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(telemetry, "tracer", provider.get_tracer("test"))
    return exporter


def server_span(spans: InMemorySpanExporter) -> ReadableSpan:
    [span] = [span for span in spans.get_finished_spans() if span.kind is SpanKind.SERVER]
    return span


async def test_the_caller_s_trace_goes_on_down_to_the_models(spans: InMemorySpanExporter) -> None:
    async with http(gateway()) as client:
        answer = await client.post(
            "/v1/images/generations",
            json={"prompt": "a poster"},
            headers={"traceparent": f"00-{TRACE_ID}-{CALLER}-01", "x-request-id": "mine"},
        )
    span = server_span(spans)
    assert span.parent is not None
    assert span.attributes is not None
    assert f"{span.parent.span_id:016x}" == CALLER
    assert span.name == "POST /v1/images/generations"
    assert span.attributes["http.response.status_code"] == 200
    assert span.attributes[telemetry.ATTR_REQUEST_ID] == "mine"
    assert {f"{each.get_span_context().trace_id:032x}" for each in spans.get_finished_spans()} == {TRACE_ID}
    assert {telemetry.SPAN_DECIDE, telemetry.SPAN_RENDER, telemetry.SPAN_HANDLE} <= {
        each.name for each in spans.get_finished_spans()
    }
    assert answer.headers["x-trace-id"] == answer.json()["atelier"]["trace_id"] == TRACE_ID


@pytest.mark.parametrize("header", [None, "nonsense", f"00-{'0' * 32}-{CALLER}-01"])
async def test_without_a_usable_parent_a_trace_of_its_own_begins(
    spans: InMemorySpanExporter, header: str | None
) -> None:
    async with http(gateway()) as client:
        answer = await client.get("/v1/models", headers={} if header is None else {"traceparent": header})
    span = server_span(spans)
    assert span.parent is None
    assert answer.headers["x-trace-id"] == f"{span.get_span_context().trace_id:032x}"


async def test_a_server_error_marks_the_span_and_a_caller_s_mistake_does_not(
    spans: InMemorySpanExporter,
) -> None:
    async def fail(request: RenderRequest) -> RenderResult:
        raise errors.ModelFailed("failed")

    async with http(gateway(renders={"creative_highfidelity": fail})) as client:
        await client.post("/v1/images/generations", json={"prompt": "a poster"})
        assert server_span(spans).status.status_code is StatusCode.ERROR
        spans.clear()
        await client.post("/v1/images/generations", json={"prompt": ""})
    assert server_span(spans).status.status_code is StatusCode.UNSET


@pytest.mark.parametrize("fails_at", ["dispatch", "_decide"])
async def test_what_nobody_foresaw_is_traced_without_its_text(
    spans: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch, fails_at: str
) -> None:
    of = gateway()

    def explode(*_: object) -> None:
        raise RuntimeError("the secret prompt")

    monkeypatch.setattr(of.dispatcher, fails_at, explode)
    async with http(of) as client:
        answer = await client.post("/v1/images/generations", json={"prompt": "a poster"})
    span = server_span(spans)
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal_error")
    assert answer.headers["x-trace-id"] == f"{span.get_span_context().trace_id:032x}"
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes is not None
    assert span.attributes["http.response.status_code"] == 500
    assert "secret" not in "".join(each.to_json() for each in spans.get_finished_spans()) + answer.text


async def test_a_failed_span_inside_says_its_type_alone(
    spans: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def explode(_: object) -> None:
        raise RuntimeError("the secret prompt")

    of = gateway()
    monkeypatch.setattr(of.dispatcher, "_reused_or_new", explode)
    async with http(of) as client:
        await client.post("/v1/images/generations", json={"prompt": "a poster"})
    [render] = [each for each in spans.get_finished_spans() if each.name == telemetry.SPAN_RENDER]
    assert render.status.description == "RuntimeError"
    assert "secret" not in "".join(each.to_json() for each in spans.get_finished_spans())


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_health_checks_are_not_traced(spans: InMemorySpanExporter, path: str) -> None:
    async with http(gateway()) as client:
        answer = await client.get(path)
    assert spans.get_finished_spans() == ()
    assert "x-trace-id" not in answer.headers


async def test_without_a_provider_no_trace_is_promised() -> None:
    async with http(gateway()) as client:
        answer = await client.get("/v1/models")
    assert "x-trace-id" not in answer.headers

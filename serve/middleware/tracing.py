"""The HTTP span: continues the caller's `traceparent`, names the method and route, ends with the status."""

from opentelemetry import propagate, trace
from opentelemetry.trace import SpanKind, Status, StatusCode
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deployments import telemetry as replica_telemetry
from serve import telemetry

_UNTRACED = frozenset({"/healthz", "/readyz"})


class TracingMiddleware:
    """Health checks are not traced: they would outnumber everything else."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in _UNTRACED:
            await self._app(scope, receive, send)
            return
        parent = propagate.extract(Headers(scope=scope))
        with replica_telemetry.open_span(
            telemetry.tracer,
            f"{scope['method']} {scope['path']}",
            context=parent,
            kind=SpanKind.SERVER,
            attributes={
                "http.request.method": scope["method"],
                "url.path": scope["path"],
                telemetry.ATTR_REQUEST_ID: scope["state"]["request_id"],
            },
        ) as span:
            await self._app(scope, receive, _recording(send, span))


def _recording(send: Send, span: trace.Span) -> Send:
    async def recorded(message: Message) -> None:
        if message["type"] == "http.response.start":
            status = message["status"]
            span.set_attribute("http.response.status_code", status)
            if status >= 500:
                span.set_status(Status(StatusCode.ERROR))
            trace_id = replica_telemetry.trace_id(span)
            if trace_id is not None:
                MutableHeaders(scope=message)["x-trace-id"] = trace_id
        await send(message)

    return recorded

"""An OTLP/HTTP receiver on loopback: what an exporter really sends, decoded."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span


@dataclass(slots=True)
class Receiver:
    endpoint: str
    spans: list[Span] = field(default_factory=list)
    arrived: threading.Condition = field(default_factory=threading.Condition)

    def trace(self, trace_id: str, caller_id: str, names: set[str], timeout_s: float = 20.0) -> list[Span]:
        """The spans of a trace, once spans of all `names` and every span's parent have arrived.

        Processes export on their own time. Raises TimeoutError that says which names and parents are missing.
        """

        def of_trace() -> list[Span]:
            return [span for span in self.spans if span.trace_id.hex() == trace_id]

        def missing() -> set[str]:
            spans = of_trace()
            known = {caller_id, *(span.span_id.hex() for span in spans)}
            orphans = {
                f"the parent of {span.name}" for span in spans if span.parent_span_id.hex() not in known
            }
            return (names - {span.name for span in spans}) | orphans

        with self.arrived:
            if not self.arrived.wait_for(lambda: not missing(), timeout=timeout_s):
                raise TimeoutError(f"missing {sorted(missing())}")
            return of_trace()


@contextmanager
def receiver() -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                import gzip

                body = gzip.decompress(body)
            request = ExportTraceServiceRequest.FromString(body)
            with received.arrived:
                for resource in request.resource_spans:
                    for scope in resource.scope_spans:
                        received.spans.extend(scope.spans)
                received.arrived.notify_all()
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    received = Receiver(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield received
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

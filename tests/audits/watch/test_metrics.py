import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from audits.watch.metrics import NotSent, Verdict, send


@pytest.fixture
def collector():
    """Takes OTLP over HTTP and remembers it."""
    received: list[tuple[str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            received.append((self.path, self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", received
        server.shutdown()
        thread.join()


def test_a_collector_gets_every_verdict_and_the_time(collector):
    endpoint, received = collector
    verdicts = [
        Verdict("ui-badge", "typesetter", "legible", True),
        Verdict("ui-badge", "typesetter", "palette", False),
    ]
    send(endpoint, "weekly", verdicts, finished_unix_s=1234.5)
    ((path, body),) = received
    assert path == "/v1/metrics"
    message = ExportMetricsServiceRequest.FromString(body)
    points = {
        (metric.name, tuple(sorted((each.key, each.value.string_value) for each in point.attributes))): (
            point.as_int if point.HasField("as_int") else point.as_double
        )
        for metric in message.resource_metrics[0].scope_metrics[0].metrics
        for point in metric.gauge.data_points
    }
    common = (("asset", "ui-badge"), ("audit", "weekly"))
    assert points == {
        ("atelier_audit_regressed", (*common, ("criterion", "legible"), ("variant", "typesetter"))): 1,
        ("atelier_audit_regressed", (*common, ("criterion", "palette"), ("variant", "typesetter"))): 0,
        ("atelier_audit_finished_unix_s", (("audit", "weekly"),)): 1234.5,
    }


def test_a_collector_that_refuses_is_named(collector):
    endpoint, _ = collector
    with pytest.raises(NotSent, match="did not take"):
        send(f"{endpoint}9", "weekly", [], 0.0)

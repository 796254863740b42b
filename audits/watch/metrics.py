"""Sends what a scheduled audit found to a collector, as gauges over OTLP.

A scheduled audit is a process that ends: nobody can scrape it, so it pushes once and the collector keeps
the values.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricExportResult
from opentelemetry.sdk.resources import Resource

METRIC_REGRESSED = "atelier_audit_regressed"
"""1 where a criterion became worse than chance explains, else 0."""
METRIC_FINISHED = "atelier_audit_finished_unix_s"

LABELS = ("audit", "asset", "variant", "criterion")


class NotSent(Exception):
    """The collector did not take the metrics."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether one criterion of one variant became worse."""

    asset: str
    variant: str
    criterion: str
    regressed: bool


def send(endpoint: str, audit: str, verdicts: Iterable[Verdict], finished_unix_s: float) -> None:
    """Blocks until the collector has answered. `endpoint` is the base URL of OTLP over HTTP. Raises
    NotSent."""
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], resource=Resource.create({"service.name": "atelier-audit"}))
    meter = provider.get_meter("atelier.audits")
    regressed, finished = meter.create_gauge(METRIC_REGRESSED), meter.create_gauge(METRIC_FINISHED)
    for each in verdicts:
        values = (audit, each.asset, each.variant, each.criterion)
        regressed.set(int(each.regressed), dict(zip(LABELS, values, strict=True)))
    finished.set(finished_unix_s, {"audit": audit})
    exporter = OTLPMetricExporter(endpoint=f"{endpoint.rstrip('/')}/v1/metrics", timeout=10)
    data = reader.get_metrics_data()
    try:
        sent = data is not None and exporter.export(data) is MetricExportResult.SUCCESS
    finally:
        exporter.shutdown()
        provider.shutdown()
    if not sent:
        raise NotSent(f"{endpoint} did not take the metrics of the audit")

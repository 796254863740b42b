import io
import logging
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from deployments import telemetry as of_replicas
from deployments.hosted import model as hosted_model
from serve import chain, metrics
from serve import telemetry as of_router
from tests.deployments.hosted.conftest import _key as _key
from tests.deployments.hosted.conftest import ideogram_api as ideogram_api
from tests.deployments.hosted.conftest import openai_api as openai_api
from tests.serve.hosted.failing import Captured
from tests.serve.test_metrics import Series


@pytest.fixture(autouse=True)
def _unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """More time for the hand-over than a busy machine takes."""
    monkeypatch.setattr(chain, "HANDOVER_RESERVE_MS", 1500.0)


@pytest.fixture
def captured(monkeypatch: pytest.MonkeyPatch) -> Iterator[Captured]:
    """Logs of every library at their most talkative, spans of router and replicas, metrics."""
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    loggers = [logging.getLogger(name) for name in ("", "atelier")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG)
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    for module in (of_replicas, of_router, hosted_model):
        monkeypatch.setattr(module, "tracer", provider.get_tracer("test"))
    monkeypatch.setattr(Series, "made", {})
    monkeypatch.setattr(
        metrics, "ray_metrics", SimpleNamespace(Counter=Series, Histogram=Series, Gauge=Series)
    )
    yield Captured(text, exporter, Series.made, metrics.RayObserver())
    for logger, level in zip(loggers, levels, strict=True):
        logger.removeHandler(handler)
        logger.setLevel(level)

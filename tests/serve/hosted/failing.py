"""A route whose hosted model fails in a known way, and everything that comes out of the process meanwhile."""

import io
import json
from dataclasses import dataclass, field

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from serve import metrics
from serve.schemas import Receipt
from tests.deployments.hosted.standin import Say, painting
from tests.serve.hosted.gateways import Served, upload
from tests.serve.test_metrics import Series

PRICE = 0.04
IMPATIENT_MS = 3000.0
"""The budget of a caller who does not wait for what takes long."""

POLICY = """
model_routing:
  - name: strict
    match: {asset: strict}
    model: hosted
    fallback: [own]
    max_latency_ms: 30000
  - name: lenient
    match: {asset: lenient}
    model: hosted
    fallback: [own]
    fallback_on_content_refused: true
    max_latency_ms: 30000
default: {model: own}
"""
OWN = {"kind": "echo"}
OWN_EDITOR = {"kind": "echo", "capability": "edit"}

FIELDS = {"expected_ms": 100, "retries": 0, "pricing": {"usd_per_image": PRICE}}

BROKEN_PNG = painting("x", 1024, 1024)[:-200]
WRONG_TYPE = b"<html>an error page</html>"
UNREADABLE = Say(b'{"data": [{"b64_json": "%%%"}]}')
NO_JSON = Say(b"{truncated")
NESTED = Say(b"[" * 100_000)
NO_DATA = Say(b'{"created": 1, "data": []}')


@dataclass(slots=True)
class Captured:
    """Everything that leaves the process but for the calls to the provider."""

    log: io.StringIO
    spans: InMemorySpanExporter
    series: dict[str, Series]
    observer: metrics.RayObserver
    answers: list[str] = field(default_factory=list)

    def everything(self) -> str:
        self.observer.flush()
        spans = "".join(span.to_json() for span in self.spans.get_finished_spans())
        told = repr({name: each.values for name, each in self.series.items()})
        return "\n".join([self.log.getvalue(), spans, told, *self.answers])


async def asked(
    service: Served,
    captured: Captured,
    asset: str = "strict",
    max_latency_ms: float = 30_000,
    edits: bool = False,
) -> Receipt:
    """One request through the official client; its receipt. What it saw is kept for the search."""
    options = {"asset": asset, "seed": 1, "max_latency_ms": max_latency_ms}
    images = service.client.images.with_raw_response
    if edits:
        room = ("room.png", upload("RGB"), "image/png")
        hole = ("mask.png", upload("RGBA"), "image/png")
        raw = await images.edit(image=room, mask=hole, prompt="a lighthouse", extra_body={"atelier": options})
    else:
        raw = await images.generate(prompt="a lighthouse", size="256x256", extra_body={"atelier": options})
    captured.answers.append(raw.text + repr(raw.headers))
    receipt = Receipt.model_validate(json.loads(raw.text)["atelier"])
    captured.observer.finished(receipt)
    return receipt


def answered_by_fallback(receipt: Receipt, outcome: str, cost_usd: float) -> None:
    assert receipt.model == "own"
    (substitution,) = receipt.images[0].substitutions
    assert (substitution.models, substitution.outcome) == (["hosted"], outcome)
    assert receipt.cost_usd == substitution.cost_usd == pytest.approx(cost_usd)
    assert receipt.budget_ms is not None
    assert receipt.total_ms < receipt.budget_ms

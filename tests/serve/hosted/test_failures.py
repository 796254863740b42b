"""What can go wrong with a hosted model: the caller gets the route's fallback inside the budget, the breaker
and the costs are right, and the API key is nowhere."""

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import openai
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from deployments import telemetry as of_replicas
from deployments.hosted import model as hosted_model
from serve import chain, metrics
from serve import telemetry as of_router
from serve.schemas import Receipt
from tests.deployments.hosted import ideogram_standin, openai_standin
from tests.deployments.hosted.ideogram_standin import IdeogramStandIn
from tests.deployments.hosted.openai_standin import OpenAIStandIn
from tests.deployments.hosted.standin import (
    KEY,
    Behaviour,
    Hang,
    HangUp,
    Paint,
    Refuse,
    Say,
    StandIn,
    painting,
)
from tests.serve.hosted.gateways import Served, ideogram_model, openai_model, served
from tests.serve.test_metrics import Series

PRICE = 0.04
BUDGET_MS = 1500.0
POLICY = f"""
model_routing:
  - name: strict
    match: {{asset: strict}}
    model: hosted
    fallback: [own]
    max_latency_ms: {BUDGET_MS}
  - name: lenient
    match: {{asset: lenient}}
    model: hosted
    fallback: [own]
    fallback_on_content_refused: true
    max_latency_ms: {BUDGET_MS}
default: {{model: own}}
"""
OWN = {"kind": "echo"}

FIELDS = {"expected_ms": 100, "retries": 0, "pricing": {"usd_per_image": PRICE}}


@pytest.fixture(autouse=True)
def _unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """More time for the hand-over than a busy machine takes."""
    monkeypatch.setattr(chain, "HANDOVER_RESERVE_MS", 500.0)


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


async def asked(service: Served, captured: Captured, asset: str = "strict") -> Receipt:
    """One request through the official client; its receipt. What it saw is kept for the search."""
    raw = await service.client.images.with_raw_response.generate(
        prompt="a lighthouse", size="256x256", extra_body={"atelier": {"asset": asset, "seed": 1}}
    )
    captured.answers.append(raw.text + repr(raw.headers))
    receipt = Receipt.model_validate(json.loads(raw.text)["atelier"])
    captured.observer.finished(receipt)
    return receipt


def answered_by_fallback(receipt: Receipt, outcome: str, cost_usd: float) -> None:
    assert receipt.model == "own"
    (substitution,) = receipt.images[0].substitutions
    assert (substitution.models, substitution.outcome) == (["hosted"], outcome)
    assert receipt.cost_usd == substitution.cost_usd == pytest.approx(cost_usd)
    assert receipt.total_ms < BUDGET_MS


BROKEN_PNG = painting("x", 1024, 1024)[:-200]
WRONG_TYPE = b"<html>an error page</html>"
UNREADABLE = Say(b'{"data": [{"b64_json": "%%%"}]}')
NO_JSON = Say(b"{truncated")
NO_DATA = Say(b'{"created": 1, "data": []}')

OPENAI_FAILURES: dict[str, tuple[Behaviour, str, float]] = {
    "slow": (Hang(), "deadline_exceeded", PRICE),
    "broken connection": (HangUp(), "model_error", PRICE),
    "broken image": (Paint(BROKEN_PNG), "model_error", PRICE),
    "no image": (Paint(WRONG_TYPE), "model_error", PRICE),
    "unreadable image": (UNREADABLE, "model_error", PRICE),
    "no JSON": (NO_JSON, "model_error", PRICE),
    "text": (Say(b"hello", "text/plain"), "model_error", PRICE),
    "no data": (NO_DATA, "model_error", PRICE),
    "400": (openai_standin.INVALID, "unsupported", 0.0),
    "401": (openai_standin.WRONG_KEY, "model_error", 0.0),
    "402": (openai_standin.PAYMENT, "model_error", 0.0),
    "422": (openai_standin.UNPROCESSABLE, "unsupported", 0.0),
    "429": (openai_standin.RATE_LIMIT, "refused_capacity", 0.0),
    "429 without credit": (openai_standin.NO_CREDIT, "model_error", 0.0),
    "400 without credit": (openai_standin.HARD_LIMIT, "model_error", 0.0),
    "500": (openai_standin.DOWN, "model_error", 0.0),
    "503": (openai_standin.OVERLOADED, "model_error", 0.0),
    "302": (Refuse(302, "", {"location": "http://169.254.169.254/"}), "model_error", 0.0),
    "retired": (openai_standin.GONE, "model_gone", 0.0),
}
IDEOGRAM_FAILURES: dict[str, tuple[Behaviour, str, float]] = {
    "slow": (Hang(), "deadline_exceeded", PRICE),
    "broken connection": (HangUp(), "model_error", PRICE),
    "broken image": (Paint(BROKEN_PNG), "model_error", PRICE),
    "no image": (Paint(WRONG_TYPE), "model_error", PRICE),
    "no JSON": (NO_JSON, "model_error", PRICE),
    "no data": (NO_DATA, "model_error", PRICE),
    "expired link": (ideogram_standin.EXPIRED_LINK, "model_error", PRICE),
    "foreign link": (ideogram_standin.FOREIGN_LINK, "model_error", PRICE),
    "link that redirects": (ideogram_standin.REDIRECT, "model_error", PRICE),
    "400": (ideogram_standin.INVALID, "unsupported", 0.0),
    "401": (ideogram_standin.WRONG_KEY, "model_error", 0.0),
    "402": (ideogram_standin.NO_CREDIT, "model_error", 0.0),
    "429": (ideogram_standin.RATE_LIMIT, "refused_capacity", 0.0),
    "500": (ideogram_standin.DOWN, "model_error", 0.0),
    "retired": (ideogram_standin.GONE, "model_gone", 0.0),
}


@pytest.mark.parametrize("failure", OPENAI_FAILURES)
@pytest.mark.parametrize("model", ["dall-e-3", "gpt-image-2.6-sunburst"])
async def test_openai_fails(openai_api: OpenAIStandIn, captured: Captured, model: str, failure: str) -> None:
    behaviour, outcome, cost_usd = OPENAI_FAILURES[failure]
    spec = openai_model(openai_api, model, **FIELDS)
    await falls_back(openai_api, spec, captured, behaviour, outcome, cost_usd)


@pytest.mark.parametrize("failure", IDEOGRAM_FAILURES)
@pytest.mark.parametrize("model", ["V_1", "V_3"])
async def test_ideogram_fails(
    ideogram_api: IdeogramStandIn, captured: Captured, model: str, failure: str
) -> None:
    behaviour, outcome, cost_usd = IDEOGRAM_FAILURES[failure]
    spec = ideogram_model(ideogram_api, model, **FIELDS)
    await falls_back(ideogram_api, spec, captured, behaviour, outcome, cost_usd)


async def falls_back(
    api: StandIn,
    spec: dict[str, Any],
    captured: Captured,
    behaviour: Behaviour,
    outcome: str,
    cost_usd: float,
) -> None:
    api.behaviours.append(behaviour)
    async with served(POLICY, {"hosted": spec, "own": OWN}) as service:
        receipt = await asked(service, captured)
        answered_by_fallback(receipt, outcome, cost_usd)
        assert len(api.calls) == 1
        assert service.fleet("hosted")["breaker"] == ("open" if outcome == "model_gone" else "closed")
    counted = captured.everything()
    assert KEY not in counted
    assert "lighthouse" not in captured.log.getvalue()
    costs = captured.series[of_router.METRIC_COST_USD].values
    assert costs == ([(cost_usd, {"route": "strict", "model": "hosted"})] if cost_usd else [])


REFUSALS: dict[str, tuple[str, Behaviour, float]] = {
    "dall-e-3 prompt": ("dall-e-3", openai_standin.CONTENT_POLICY, 0.0),
    "gpt-image prompt": ("gpt-image-2", openai_standin.MODERATION, 0.0),
    "Ideogram V1 prompt": ("V_1", ideogram_standin.UNSAFE_PROMPT, 0.0),
    "Ideogram V3 prompt": ("V_3", ideogram_standin.UNSAFE_PROMPT, 0.0),
    "Ideogram V3 image": ("V_3", ideogram_standin.UNSAFE_IMAGE, PRICE),
}


@pytest.mark.parametrize("refusal", REFUSALS)
async def test_a_content_policy_s_refusal_goes_on_only_where_the_route_says_so(
    openai_api: OpenAIStandIn, ideogram_api: IdeogramStandIn, captured: Captured, refusal: str
) -> None:
    model, behaviour, cost_usd = REFUSALS[refusal]
    if model.startswith("V_"):
        api: StandIn = ideogram_api
        spec = ideogram_model(ideogram_api, model, **FIELDS)
    else:
        api, spec = openai_api, openai_model(openai_api, model, **FIELDS)
    api.behaviours += [behaviour, behaviour]
    async with served(POLICY, {"hosted": spec, "own": OWN}) as service:
        with pytest.raises(openai.BadRequestError) as caught:
            await asked(service, captured)
        assert caught.value.code == "content_refused"
        assert caught.value.message.startswith("Error code: 400")
        assert service.observed.refusals == [("strict", "content_refused", {"hosted": cost_usd})]
        answered_by_fallback(await asked(service, captured, "lenient"), "content_refused", cost_usd)
        assert service.fleet("hosted")["breaker"] == "closed"
    assert KEY not in captured.everything() + str(caught.value.body)


async def test_a_provider_that_is_down_is_left_alone(openai_api: OpenAIStandIn, captured: Captured) -> None:
    spec = openai_model(openai_api, "dall-e-3", **FIELDS) | {"base_url": "http://127.0.0.1:9/v1"}
    async with served(POLICY, {"hosted": spec, "own": OWN}) as service:
        for _ in range(5):
            answered_by_fallback(await asked(service, captured), "model_error", 0.0)
        assert service.fleet("hosted")["breaker"] == "open"
        receipt = await asked(service, captured)
    assert (receipt.model, receipt.images[0].substitutions) == ("own", [])
    assert "is being left alone" in receipt.reason


async def test_while_a_rate_limit_lasts_nothing_is_sent(
    openai_api: OpenAIStandIn, captured: Captured
) -> None:
    openai_api.behaviours.append(openai_standin.RATE_LIMIT)
    spec = openai_model(openai_api, "dall-e-3", **FIELDS)
    async with served(POLICY, {"hosted": spec, "own": OWN}) as service:
        answered_by_fallback(await asked(service, captured), "refused_capacity", 0.0)
        answered_by_fallback(await asked(service, captured), "refused_capacity", 0.0)
        assert len(openai_api.calls) == 1
        await service.gateway._fleet.poll(service.gateway._clients)
        receipt = await asked(service, captured)
    assert (receipt.model, receipt.images[0].substitutions) == ("own", [])
    assert "would take about" in receipt.reason  # the wait is in the prediction: no time is lost on asking


async def test_what_the_provider_did_not_take_is_sent_again_and_paid_once(
    openai_api: OpenAIStandIn, captured: Captured
) -> None:
    openai_api.behaviours.append(Refuse(429, openai_standin.RATE_LIMIT.body, {"retry-after-ms": "10"}))
    spec = openai_model(openai_api, "dall-e-3", **FIELDS | {"retries": 1})
    async with served(POLICY, {"hosted": spec, "own": OWN}) as service:
        receipt = await asked(service, captured)
    assert (receipt.model, receipt.substituted, receipt.cost_usd) == ("hosted", False, PRICE)
    assert len(openai_api.calls) == 2


@pytest.mark.parametrize("behaviour", [openai_standin.DOWN, Hang(), HangUp(), UNREADABLE])
async def test_what_may_be_billed_is_never_sent_again(
    openai_api: OpenAIStandIn, captured: Captured, behaviour: Behaviour
) -> None:
    openai_api.behaviours.append(behaviour)
    spec = openai_model(openai_api, "dall-e-3", **FIELDS | {"retries": 5})
    async with served(POLICY, {"hosted": spec, "own": OWN}) as service:
        assert (await asked(service, captured)).model == "own"
    assert len(openai_api.calls) == 1


async def test_a_retired_model_asked_for_by_name_says_so(
    openai_api: OpenAIStandIn, captured: Captured
) -> None:
    openai_api.behaviours.append(openai_standin.GONE)
    spec = openai_model(openai_api, "dall-e-3", **FIELDS)
    async with served(POLICY, {"dalle": spec, "hosted": spec, "own": OWN}) as service:
        with pytest.raises(openai.APIStatusError) as caught:
            await service.client.images.generate(prompt="a lighthouse", model="dalle")
    assert (caught.value.status_code, caught.value.code) == (410, "model_gone")
    assert "OpenAI shut dall-e-3 down on 2026-05-12" in caught.value.message


async def test_what_cannot_be_mapped_is_never_sent(openai_api: OpenAIStandIn, captured: Captured) -> None:
    """The planner knows sizes and capabilities; the adapter refuses the rest."""
    spec = openai_model(openai_api, "dall-e-3", **FIELDS)
    async with served(POLICY, {"hosted": spec, "own": OWN}) as service:
        for extra in ({"steps": 5}, {"guidance_scale": 3}, {"negative_prompt": "fog"}):
            raw = await service.client.images.with_raw_response.generate(
                prompt="x", size="256x256", extra_body={"atelier": {"asset": "strict", **extra}}
            )
            receipt = Receipt.model_validate(json.loads(raw.text)["atelier"])
            answered_by_fallback(receipt, "unsupported", 0.0)
        for size in ("1000x64", "2048x2048"):
            raw = await service.client.images.with_raw_response.generate(
                prompt="x", size=size, extra_body={"atelier": {"asset": "strict"}}
            )
            receipt = Receipt.model_validate(json.loads(raw.text)["atelier"])
            assert (receipt.model, receipt.images[0].substitutions) == ("own", [])
            assert "is out: hosted makes 1024x1024" in receipt.reason
    assert openai_api.calls == []


async def test_every_image_that_was_paid_for_counts_when_a_request_fails(
    openai_api: OpenAIStandIn, captured: Captured
) -> None:
    openai_api.behaviours += [Paint(BROKEN_PNG)]
    spec = openai_model(openai_api, "dall-e-3", **FIELDS)
    async with served("default: {model: hosted}", {"hosted": spec}) as service:
        with pytest.raises(openai.InternalServerError):
            await service.client.images.generate(prompt="a lighthouse")
    assert service.observed.refusals == [("default", "model_error", {"hosted": PRICE})]


async def test_what_a_failed_attempt_cost_counts_against_the_route_s_limit(
    openai_api: OpenAIStandIn, captured: Captured
) -> None:
    """Two images are paid for, one of them broken: together they are over what an hour may cost."""
    openai_api.behaviours.append(Paint(BROKEN_PNG))
    policy = f"default: {{model: hosted, fallback: [own], limits: {{usd_per_hour: {1.5 * PRICE}}}}}"
    spec = openai_model(openai_api, "dall-e-3", **FIELDS)
    async with served(policy, {"hosted": spec, "own": OWN}) as service:
        answered_by_fallback(await asked(service, captured), "model_error", PRICE)
        assert (await asked(service, captured)).model == "hosted"
        with pytest.raises(openai.RateLimitError):
            await asked(service, captured)
    assert len(openai_api.calls) == 2


async def test_a_picture_that_a_later_stage_could_not_use_is_paid_for_all_the_same(
    openai_api: OpenAIStandIn, captured: Captured
) -> None:
    policy = "default: {stages: [hosted, enlarge], fallback: [own], max_latency_ms: 20000}"
    models = {
        "hosted": openai_model(openai_api, "dall-e-3", **FIELDS),
        "enlarge": {"kind": "echo", "capability": "upscale", "scale": 2, "fails_with": "model_error"},
        "own": OWN,
    }
    async with served(policy, models) as service:
        receipt = await asked(service, captured)
    (substitution,) = receipt.images[0].substitutions
    assert (receipt.model, substitution.models) == ("own", ["hosted", "enlarge"])
    assert receipt.cost_usd == substitution.cost_usd == PRICE


async def test_siblings_of_an_image_that_failed_are_paid_for(openai_api: OpenAIStandIn) -> None:
    """One of two images fails once the other is made."""
    made = asyncio.Event()
    answer = openai_api._answer

    async def one_after_the_other(*arguments: Any) -> Any:
        if openai_api.calls[1:]:
            await made.wait()
            openai_api.behaviours.append(openai_standin.DOWN)
            arguments = (*arguments[:2], openai_api.next_behaviour())
        return await answer(*arguments)

    openai_api._answer = one_after_the_other  # type: ignore[method-assign]
    spec = openai_model(openai_api, "dall-e-3", **FIELDS)
    async with served("default: {model: hosted}", {"hosted": spec}) as service:
        asking = asyncio.create_task(service.client.images.generate(prompt="x", size="64x64", n=2))
        while service.fleet("hosted")["observed"] == 0:  # noqa: ASYNC110 - a gauge has no event
            await asyncio.sleep(0.005)
        made.set()
        with pytest.raises(openai.InternalServerError):
            await asking
    assert service.observed.refusals == [("default", "model_error", {"hosted": PRICE})]

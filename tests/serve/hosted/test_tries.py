"""What is sent again, what is not sent at all, and who pays."""

import asyncio
import json
from typing import Any

import openai
import pytest

from serve.schemas import Receipt
from tests.deployments.hosted import openai_standin
from tests.deployments.hosted.openai_standin import OpenAIStandIn
from tests.deployments.hosted.standin import Behaviour, Hang, HangUp, Paint, Refuse
from tests.serve.hosted.failing import (
    BROKEN_PNG,
    FIELDS,
    IMPATIENT_MS,
    OWN,
    POLICY,
    PRICE,
    UNREADABLE,
    Captured,
    answered_by_fallback,
    asked,
)
from tests.serve.hosted.gateways import openai_model, served


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
        for _ in range(2):
            receipt = await asked(service, captured, max_latency_ms=IMPATIENT_MS)
            answered_by_fallback(receipt, "refused_capacity", 0.0)
        assert len(openai_api.calls) == 1
        await service.gateway._fleet.poll(service.gateway._clients)
        receipt = await asked(service, captured, max_latency_ms=IMPATIENT_MS)
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
        receipt = await asked(service, captured, max_latency_ms=IMPATIENT_MS)
        assert receipt.model == "own"
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
    assert service.observed.refusals == [("default", "model_error")]
    assert service.observed.costs == [("default", "hosted", PRICE)]


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
    assert service.observed.refusals == [("default", "model_error")]
    assert service.observed.costs == [("default", "hosted", PRICE)]


async def test_a_caller_who_leaves_pays_for_what_the_provider_was_asked(
    openai_api: OpenAIStandIn, captured: Captured
) -> None:
    """Otherwise leaving early would be a way around the limit."""
    openai_api.behaviours.append(Hang())
    policy = f"default: {{model: hosted, fallback: [own], limits: {{usd_per_hour: {0.5 * PRICE}}}}}"
    spec = openai_model(openai_api, "dall-e-3", **FIELDS)
    async with served(policy, {"hosted": spec, "own": OWN}) as service:
        asking = asyncio.create_task(asked(service, captured))
        while not openai_api.calls:  # noqa: ASYNC110 - the stand-in tells no event
            await asyncio.sleep(0.005)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert service.observed.costs == [("default", "hosted", PRICE)]
        with pytest.raises(openai.RateLimitError):
            await asked(service, captured)
    assert service.observed.refusals == [("default", "cancelled"), ("default", "refused_capacity")]


async def test_a_shadow_s_image_is_paid_for(openai_api: OpenAIStandIn, captured: Captured) -> None:
    """But counts against nobody's limit."""
    limits = f"{{usd_per_hour: {PRICE / 2}}}"
    policy = f"default: {{model: own, shadow: {{model: hosted, share_ratio: 1}}, limits: {limits}}}"
    spec = openai_model(openai_api, "dall-e-3", **FIELDS)
    async with served(policy, {"hosted": spec, "own": OWN}) as service:
        for _ in range(2):
            assert (await asked(service, captured)).cost_usd == 0
            await asyncio.gather(*service.gateway.dispatcher.shadows._running)
        assert service.observed.costs == [("default", "hosted", PRICE)] * 2

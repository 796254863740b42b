"""What can go wrong with a hosted model: the caller gets the route's fallback inside the budget, the breaker
and the costs are right, and the API key is nowhere."""

from typing import Any

import openai
import pytest

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
)
from tests.serve.hosted.failing import (
    BROKEN_PNG,
    FIELDS,
    IMPATIENT_MS,
    NESTED,
    NO_DATA,
    NO_JSON,
    OWN,
    OWN_EDITOR,
    POLICY,
    PRICE,
    UNREADABLE,
    WRONG_TYPE,
    Captured,
    answered_by_fallback,
    asked,
)
from tests.serve.hosted.gateways import ideogram_model, openai_model, served

OPENAI_FAILURES: dict[str, tuple[Behaviour, str, float]] = {
    "slow": (Hang(), "deadline_exceeded", PRICE),
    "broken connection": (HangUp(), "model_error", PRICE),
    "broken image": (Paint(BROKEN_PNG), "model_error", PRICE),
    "no image": (Paint(WRONG_TYPE), "model_error", PRICE),
    "unreadable image": (UNREADABLE, "model_error", PRICE),
    "no JSON": (NO_JSON, "model_error", PRICE),
    "nested JSON": (NESTED, "model_error", PRICE),
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
    "nested JSON": (NESTED, "model_error", PRICE),
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


@pytest.mark.parametrize("failure", OPENAI_FAILURES)
async def test_an_edit_at_openai_fails(openai_api: OpenAIStandIn, captured: Captured, failure: str) -> None:
    behaviour, outcome, cost_usd = OPENAI_FAILURES[failure]
    spec = openai_model(openai_api, "gpt-image-2", **FIELDS)
    await falls_back(openai_api, spec, captured, behaviour, outcome, cost_usd, edits=True)
    assert [call.path for call in openai_api.calls] == ["/v1/images/edits"]


@pytest.mark.parametrize("failure", IDEOGRAM_FAILURES)
async def test_an_edit_at_ideogram_fails(
    ideogram_api: IdeogramStandIn, captured: Captured, failure: str
) -> None:
    behaviour, outcome, cost_usd = IDEOGRAM_FAILURES[failure]
    spec = ideogram_model(ideogram_api, "V_3", **FIELDS)
    await falls_back(ideogram_api, spec, captured, behaviour, outcome, cost_usd, edits=True)
    assert [call.path for call in ideogram_api.calls] == ["/v1/ideogram-v3/edit"]


async def falls_back(
    api: StandIn,
    spec: dict[str, Any],
    captured: Captured,
    behaviour: Behaviour,
    outcome: str,
    cost_usd: float,
    edits: bool = False,
) -> None:
    api.behaviours.append(behaviour)
    async with served(POLICY, {"hosted": spec, "own": OWN_EDITOR if edits else OWN}) as service:
        patience_ms = IMPATIENT_MS if isinstance(behaviour, Hang) else 30_000
        receipt = await asked(service, captured, max_latency_ms=patience_ms, edits=edits)
        answered_by_fallback(receipt, outcome, cost_usd)
        assert len(api.calls) == 1
        assert service.fleet("hosted")["breaker"] == ("open" if outcome == "model_gone" else "closed")
        assert service.observed.costs == ([("strict", "hosted", cost_usd)] if cost_usd else [])
    counted = captured.everything()
    assert KEY not in counted
    assert "lighthouse" not in captured.log.getvalue()


EDITORS = frozenset({"gpt-image-2", "V_3"})

REFUSALS: dict[str, tuple[str, Behaviour, float]] = {
    "dall-e-3 prompt": ("dall-e-3", openai_standin.CONTENT_POLICY, 0.0),
    "gpt-image prompt": ("gpt-image-2", openai_standin.MODERATION, 0.0),
    "Ideogram V1 prompt": ("V_1", ideogram_standin.UNSAFE_PROMPT, 0.0),
    "Ideogram V3 prompt": ("V_3", ideogram_standin.UNSAFE_PROMPT, 0.0),
    "Ideogram V3 image": ("V_3", ideogram_standin.UNSAFE_IMAGE, PRICE),
}


@pytest.mark.parametrize(
    ("refusal", "edits"),
    [(name, edits) for name, (model, *_) in REFUSALS.items() for edits in sorted({False, model in EDITORS})],
)
async def test_a_content_policy_s_refusal_goes_on_only_where_the_route_says_so(
    openai_api: OpenAIStandIn, ideogram_api: IdeogramStandIn, captured: Captured, refusal: str, edits: bool
) -> None:
    model, behaviour, cost_usd = REFUSALS[refusal]
    if model.startswith("V_"):
        api: StandIn = ideogram_api
        spec = ideogram_model(ideogram_api, model, **FIELDS)
    else:
        api, spec = openai_api, openai_model(openai_api, model, **FIELDS)
    api.behaviours += [behaviour, behaviour]
    async with served(POLICY, {"hosted": spec, "own": OWN_EDITOR if edits else OWN}) as service:
        with pytest.raises(openai.BadRequestError) as caught:
            await asked(service, captured, edits=edits)
        assert caught.value.code == "content_refused"
        assert caught.value.message.startswith("Error code: 400")
        assert service.observed.refusals == [("strict", "content_refused")]
        answered_by_fallback(
            await asked(service, captured, "lenient", edits=edits), "content_refused", cost_usd
        )
        paid = [(route, "hosted", cost_usd) for route in ("strict", "lenient") if cost_usd]
        assert service.observed.costs == paid
        assert service.fleet("hosted")["breaker"] == "closed"
    assert KEY not in captured.everything() + str(caught.value.body)

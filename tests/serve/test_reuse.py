"""Which images are not rendered twice, and that nobody sees another's."""

import asyncio
import time
from dataclasses import replace
from typing import Any

import pytest

from deployments.types import RenderRequest, RenderResult
from routing.types import AssetRequest
from serve.config import model_facts, parse_config
from serve.errors import ApiError
from serve.jobs import Answer, CacheUse, ImageJob
from tests.serve.gateways import echo, gateway, http

POLICY = (
    "model_routing: []\ndefault: {model: m, fallback: [other], deterministic: true, max_latency_ms: 5000}\n"
)
MODELS = {"m": {"kind": "echo"}, "other": {"kind": "echo"}}


class Model:
    """Counts what it renders; waits while `gate` is not set; fails when told so."""

    def __init__(self) -> None:
        self.rendered, self.broken = 0, False
        self.begun, self.gate = asyncio.Event(), asyncio.Event()
        self.gate.set()
        self._echo = echo("m")

    async def render(self, request: RenderRequest) -> RenderResult:
        self.rendered += 1
        self.begun.set()
        await self.gate.wait()
        if self.broken:
            raise RuntimeError("broken")
        return await self._echo.render(request)


@pytest.fixture
def model() -> Model:
    return Model()


def job(tenant: str | None = None, prompt: str = "a cat", seed: int = 7, **fields: Any) -> ImageJob:
    asset = AssetRequest(prompt=prompt, tenant=tenant)
    return ImageJob("r", time.monotonic(), asset, (seed,), **fields)


def states(*answers: Answer) -> list[str]:
    return [image.cache for answer in answers for image in answer.receipt.images]


async def test_an_equal_request_is_answered_with_the_kept_image(model: Model) -> None:
    dispatch = gateway(POLICY, MODELS, {"m": model.render}).dispatcher.dispatch
    first, second = await dispatch(job()), await dispatch(job())
    assert states(first, second) == ["miss", "hit"]
    assert first.images == second.images
    assert model.rendered == 1
    assert second.receipt.images[0].pixels_sha256 == first.receipt.images[0].pixels_sha256
    assert (second.receipt.gpu_s, second.receipt.cost_usd, second.receipt.run_ms) == (0, 0, 0)
    assert not second.receipt.substituted


@pytest.mark.parametrize(
    "other",
    [
        job(tenant="b"),
        job(prompt="a dog"),
        job(seed=8),
        job(negative_prompt="rain"),
        job(guidance_scale=3.0),
        job(lora="flat"),
        job(options={"layout": {"lines": ["SALE"]}}),
    ],
)
async def test_whatever_changes_the_image_or_its_owner_is_another_request(
    model: Model, other: ImageJob
) -> None:
    dispatch = gateway(POLICY, MODELS, {"m": model.render}).dispatcher.dispatch
    await dispatch(job(tenant="a"))
    assert states(await dispatch(replace(other, arrived_s=time.monotonic()))) == ["miss"]
    assert model.rendered == 2


async def test_tenants_share_where_the_config_says_so(model: Model) -> None:
    shared = gateway(POLICY, MODELS, {"m": model.render}, cache={"scope": "everybody"})
    await shared.dispatcher.dispatch(job(tenant="a"))
    assert states(await shared.dispatcher.dispatch(job(tenant="b"))) == ["hit"]


async def test_equal_requests_at_the_same_time_share_one_render(model: Model) -> None:
    dispatch = gateway(POLICY, MODELS, {"m": model.render}).dispatcher.dispatch
    model.gate.clear()
    tasks = [asyncio.create_task(dispatch(job())) for _ in range(5)]
    await model.begun.wait()
    model.gate.set()
    answers = await asyncio.gather(*tasks)
    assert sorted(states(*answers)) == ["miss", "shared", "shared", "shared", "shared"]
    assert model.rendered == 1
    assert len({answer.images for answer in answers}) == 1


async def test_a_caller_that_leaves_does_not_end_the_render_of_the_others(model: Model) -> None:
    dispatch = gateway(POLICY, MODELS, {"m": model.render}).dispatcher.dispatch
    model.gate.clear()
    first, second = asyncio.create_task(dispatch(job())), asyncio.create_task(dispatch(job()))
    await model.begun.wait()
    first.cancel()
    model.gate.set()
    assert states(await second) == ["shared"]


async def test_a_failure_is_everybody_s_and_is_not_kept(model: Model) -> None:
    alone = POLICY.replace("fallback: [other], ", "")
    dispatch = gateway(alone, MODELS, {"m": model.render}).dispatcher.dispatch
    model.broken = True
    for _ in range(2):
        with pytest.raises(ApiError) as caught:
            await dispatch(job())
        assert caught.value.code == "model_error"
    model.broken = False
    assert states(await dispatch(job())) == ["miss"]


async def test_what_a_fallback_made_is_not_kept_for_what_the_route_promises(model: Model) -> None:
    dispatch = gateway(POLICY, MODELS, {"m": model.render}).dispatcher.dispatch
    model.broken = True
    answer = await dispatch(job())
    assert answer.receipt.model == "other"
    model.broken = False
    assert (await dispatch(job())).receipt.model == "m"


@pytest.mark.parametrize(
    ("policy", "fields"),
    [
        (POLICY.replace("deterministic: true", "deterministic: false"), {}),
        (POLICY, {"seed_given": False}),
        (POLICY, {"cache": CacheUse.NONE}),
    ],
)
async def test_what_is_not_a_function_of_its_request_is_made_anew(
    model: Model, policy: str, fields: dict[str, Any]
) -> None:
    dispatch = gateway(policy, MODELS, {"m": model.render}).dispatcher.dispatch
    assert states(await dispatch(job(**fields)), await dispatch(job(**fields))) == ["off", "off"]
    assert model.rendered == 2


async def test_no_bytes_mean_no_cache(model: Model) -> None:
    off = gateway(POLICY, MODELS, {"m": model.render}, cache={"max_bytes": 0})
    assert states(await off.dispatcher.dispatch(job())) == ["off"]


async def test_a_typesetter_needs_no_seed_and_no_promise() -> None:
    policy = "model_routing: []\ndefault: {model: words}\n"
    app = parse_config({"models": {"words": {"kind": "typesetter"}}, "policy": {"text": policy}})
    assert not model_facts(app)["words"].seeded


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", CacheUse.REUSE),
        ("max-age=0", CacheUse.REUSE),
        ("no-cache", CacheUse.REFRESH),
        ("No-Store", CacheUse.NONE),
        ("no-cache, no-store", CacheUse.NONE),
    ],
)
def test_what_a_cache_control_header_allows(header: str, expected: CacheUse) -> None:
    assert CacheUse.of(header) is expected


async def test_the_header_is_honoured_over_http(model: Model) -> None:
    body = {"prompt": "a cat", "size": "64x64", "atelier": {"seed": 1}}
    seen = []
    async with http(gateway(POLICY, MODELS, {"m": model.render})) as client:
        for header in ("", "", "no-store", "no-cache", ""):
            answer = await client.post(
                "/v1/images/generations", json=body, headers={"cache-control": header} if header else {}
            )
            seen.append(answer.json()["atelier"]["images"][0]["cache"])
    assert seen == ["miss", "hit", "off", "miss", "hit"]
    assert model.rendered == 3

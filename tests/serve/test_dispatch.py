"""What happens when a candidate does not answer."""

import asyncio
import time
from pathlib import Path

import pytest
from PIL import Image

from deployments import errors
from deployments.types import RenderRequest, RenderResult
from routing.policy import PolicyError
from routing.types import AssetRequest
from serve.errors import ApiError
from serve.jobs import Answer, ImageJob
from tests.serve.gateways import Render, echo, gateway

MODELS = {"first": {"kind": "echo"}, "second": {"kind": "echo"}}
POLICY = "model_routing: []\ndefault: {model: first, fallback: [second], max_latency_ms: 5000}\n"


def failing(error: Exception, times: int = 1_000) -> Render:
    """Fails `times` times, then answers."""
    left = times
    model = echo("first")

    async def render(request: RenderRequest) -> RenderResult:
        nonlocal left
        if left > 0:
            left -= 1
            raise error
        return await model.render(request)

    return render


async def dispatch(policy: str, renders: dict[str, Render], n: int = 1, **asset: float) -> Answer:
    job = ImageJob("r1", time.monotonic(), AssetRequest(prompt="a cat", n=n, **asset), tuple(range(n)))
    return await gateway(policy, MODELS, renders).dispatcher.dispatch(job)


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (errors.OutOfMemory("model first ran out of memory"), "out_of_memory"),
        (errors.ModelFailed("model first failed"), "model_error"),
        (errors.CapacityRefused("the queue of model first is full", 2.0), "refused_capacity"),
        (errors.DeadlineExceeded("too late", 900.0), "deadline_exceeded"),
        (errors.Unsupported("no such glyph", "prompt"), "unsupported"),
        (errors.ModelGone("retired"), "model_gone"),
    ],
)
async def test_the_next_candidate_answers_and_the_receipt_says_so(error: Exception, outcome: str) -> None:
    answer = await dispatch(POLICY, {"first": failing(error)})
    image = answer.receipt.images[0]
    assert answer.receipt.model == "second"
    assert answer.receipt.substituted
    assert [(each.models, each.outcome) for each in image.substitutions] == [(["first"], outcome)]


async def test_a_lost_replica_s_work_goes_to_the_next_candidate() -> None:
    lost = errors.ReplicaLost("a replica of model first was lost")
    answer = await dispatch(POLICY, {"first": failing(lost, times=1)})
    assert answer.receipt.model == "second"


async def test_a_lost_replica_s_work_is_done_again_once_where_no_other_candidate_is_left() -> None:
    lost = errors.ReplicaLost("a replica of model first was lost")
    alone = "model_routing: []\ndefault: {model: first}\n"
    once = await dispatch(alone, {"first": failing(lost, times=1)})
    assert once.receipt.model == "first"
    assert not once.receipt.substituted
    assert [each.outcome for each in once.receipt.images[0].substitutions] == ["model_error"]
    with pytest.raises(ApiError) as caught:
        await dispatch(alone, {"first": failing(lost, times=2)})
    assert caught.value.code == "model_error"


async def test_an_invalid_request_goes_nowhere_else() -> None:
    with pytest.raises(ApiError) as caught:
        await dispatch(POLICY, {"first": failing(errors.InvalidRequest("bad layout", "atelier.layout"))})
    assert (caught.value.status, caught.value.param) == (400, "atelier.layout")


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (errors.OutOfMemory("no memory"), 503, "out_of_memory"),
        (errors.CapacityRefused("full", 7.0), 429, "refused_capacity"),
        (errors.ModelFailed("failed"), 500, "model_error"),
    ],
)
async def test_an_exhausted_chain_ends_in_an_honest_error(error: Exception, status: int, code: str) -> None:
    with pytest.raises(ApiError) as caught:
        await dispatch(POLICY, {"first": failing(error), "second": failing(error)})
    assert (caught.value.status, caught.value.code) == (status, code)
    assert "tried: first, second" in caught.value.message
    if code == "refused_capacity":
        assert caught.value.headers["retry-after"] == "7"


async def test_a_candidate_that_hangs_leaves_time_for_none_when_none_is_predicted() -> None:
    async def hang(request: RenderRequest) -> RenderResult:
        await asyncio.Event().wait()
        raise AssertionError

    with pytest.raises(ApiError) as caught:
        await dispatch(POLICY, {"first": hang, "second": hang}, max_latency_ms=30.0)
    assert (caught.value.status, caught.value.code) == (504, "deadline_exceeded")


async def test_one_of_several_images_may_fall_back_alone() -> None:
    answer = await dispatch(POLICY, {"first": failing(errors.OutOfMemory("no"), times=1)}, n=3)
    assert sorted(image.model for image in answer.receipt.images) == ["first", "first", "second"]


async def test_cancelling_the_caller_cancels_the_work() -> None:
    started, cancelled = asyncio.Event(), asyncio.Event()

    async def work(request: RenderRequest) -> RenderResult:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise
        raise AssertionError

    task = asyncio.create_task(dispatch(POLICY, {"first": work}))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cancelled.is_set()


async def test_the_models_are_told_the_time_that_is_left() -> None:
    seen: list[float] = []

    async def look(request: RenderRequest) -> RenderResult:
        seen.append(request.remaining_s() or 0.0)
        return await echo("first").render(request)

    await dispatch(POLICY, {"first": look}, max_latency_ms=2000.0)
    assert 0 < seen[0] <= 2.0


async def test_a_baked_asset_answers_at_the_end_of_the_chain_and_is_marked(tmp_path: Path) -> None:
    Image.new("RGB", (40, 20), "teal").save(tmp_path / "sale.png")
    policy = "model_routing: []\ndefault: {model: first, raster_fallback: sale.png}\n"
    of = gateway(
        policy,
        MODELS,
        {"first": failing(errors.OutOfMemory("no memory"))},
        rasters={"folder": str(tmp_path)},
    )
    job = ImageJob("r1", time.monotonic(), AssetRequest(prompt="a cat", width=64, height=64), (0,))
    answer = await of.dispatcher.dispatch(job)
    image = answer.receipt.images[0]
    assert (image.generated, image.model, image.substituted) == (False, "raster", True)
    assert [each.outcome for each in image.substitutions] == ["out_of_memory"]
    assert (answer.images[0].width, answer.images[0].height) == (64, 64)


def test_a_policy_that_names_a_missing_asset_is_refused_with_its_place(tmp_path: Path) -> None:
    policy = "model_routing:\n  - pattern: x\n    model: first\n    raster_fallback: none.png\n"
    with pytest.raises(PolicyError, match=r"inline policy:2:.*raster_fallback: .*'none.png' does not exist"):
        gateway(policy, MODELS, rasters={"folder": str(tmp_path)})


async def test_a_painter_under_set_words_is_not_told_the_words() -> None:
    prompts = {}

    def listening(name: str) -> Render:
        async def render(request: RenderRequest) -> RenderResult:
            prompts[name] = request.prompt
            return await echo(name).render(request)

        return render

    models = {"painter": {"kind": "echo"}, "setter": {"kind": "echo", "capability": "typeset"}}
    of = gateway(
        "model_routing: []\ndefault: {stages: [painter, setter]}\n",
        models,
        {name: listening(name) for name in models},
    )
    asset = AssetRequest(prompt='a poster of a fox that says "AUTUMN"', width=64, height=64)
    await of.dispatcher.dispatch(ImageJob("r1", time.monotonic(), asset, (0,)))
    assert prompts == {"painter": "a poster of a fox", "setter": 'a poster of a fox that says "AUTUMN"'}

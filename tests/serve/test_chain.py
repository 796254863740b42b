import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from deployments import errors
from deployments.client import LocalModelClient
from deployments.model import PartialSink
from deployments.types import ModelLoad, PartialImage, RenderRequest, RenderResult
from routing.budget import Deadline
from routing.types import AssetRequest, Capability, Decision, ModelFacts, Plan, PlannedStage
from serve.chain import Chain
from serve.errors import ApiError
from serve.fleet import Fleet
from serve.jobs import ImageJob
from serve.rasters import RasterShelf
from tests.serve.gateways import Render, echo

NAMES = ("first", "second")
Streaming = Callable[..., object]


def plan(model: str, predicted_ms: float = 1.0) -> Plan:
    return Plan((PlannedStage(model, Capability.GENERATE, 8, 8, None, predicted_ms),))


DECISION = Decision("v1", "route", "it matched", None, (plan("first"), plan("second")))


def always(error: Exception) -> Render:
    async def render(request: RenderRequest) -> RenderResult:
        raise error

    return render


def chain(
    first: Render,
    decision: Decision = DECISION,
    budget_ms: float | None = None,
    on_partial: PartialSink | None = None,
    fleet: Fleet | None = None,
) -> Chain:
    facts = {name: ModelFacts(name, frozenset({Capability.GENERATE})) for name in NAMES}
    job = ImageJob("r1", time.monotonic(), AssetRequest("a fox"), (7,), partial_images=2)
    clients = {
        "first": LocalModelClient("first", first),
        "second": LocalModelClient("second", echo("second").render),
    }
    deadline = Deadline.after(budget_ms, job.arrived_s)
    shelf = RasterShelf(Path())
    return Chain(job, decision, deadline, 7, clients, fleet or Fleet(facts), shelf, on_partial=on_partial)


async def test_an_attempt_ends_early_enough_for_the_next_candidate() -> None:
    async def hang(request: RenderRequest) -> RenderResult:
        await asyncio.Event().wait()
        raise AssertionError

    decision = replace(DECISION, chain=(plan("first", 10.0), plan("second", 4900.0)))
    outcome = await chain(hang, decision, budget_ms=5000).run()
    assert outcome.model == "second"
    [failure] = outcome.failures
    assert failure.outcome == "deadline_exceeded"
    assert failure.spent_ms < 2000  # of the 5000, all but about 100 were kept for the second


@pytest.mark.parametrize(("prompt", "kept_ms"), [("a fox", 20.0), ('a fox that says "SALE"', 920.0)])
async def test_time_for_raster_words_is_kept_only_where_the_prompt_says_some(
    prompt: str, kept_ms: float
) -> None:
    decision = replace(
        DECISION, chain=DECISION.chain[:1], raster="sale.png", raster_words=plan("second", 900.0)
    )
    one = chain(echo("first").render, decision, budget_ms=5000)
    one.job = replace(one.job, asset=AssetRequest(prompt))
    now_s = time.monotonic()
    left_ms = one.deadline.remaining_ms(now_s)
    given_ms = one._give_up_at(decision.chain[0], now_s).remaining_ms(now_s)
    assert left_ms is not None
    assert given_ms == pytest.approx(left_ms - kept_ms)


async def test_a_provider_s_refusal_ends_the_chain_unless_the_route_says_otherwise() -> None:
    refuse = always(errors.ContentRefused("the provider refused this prompt"))
    with pytest.raises(ApiError) as caught:
        await chain(refuse).run()
    assert (caught.value.status, caught.value.code) == (400, "content_refused")
    outcome = await chain(refuse, replace(DECISION, continue_on_content_refused=True)).run()
    assert outcome.model == "second"


async def test_after_a_preview_nothing_else_takes_the_picture_s_place() -> None:
    shown: list[PartialImage] = []

    async def fail_late(request: RenderRequest, on_partial: PartialSink) -> RenderResult:
        await echo("first").render(request, on_partial)
        raise errors.OutOfMemory("no memory")

    def streaming(render: Callable[..., object]) -> LocalModelClient:
        class Eager(LocalModelClient):
            async def stream(self, request: RenderRequest):  # type: ignore[no-untyped-def]
                partials: list[PartialImage] = []
                try:
                    await render(request, partials.append)  # type: ignore[misc]
                except errors.RenderError:
                    for partial in partials:
                        yield partial
                    raise

        return Eager("first", render)

    decision = replace(DECISION, raster="sale.png")
    failing = chain(always(AssertionError()), decision, on_partial=shown.append)
    failing.clients = {**failing.clients, "first": streaming(fail_late)}
    with pytest.raises(ApiError) as caught:
        await failing.run()
    assert caught.value.code == "out_of_memory"
    assert len(shown) == 2


async def test_where_nothing_was_shown_yet_the_next_candidate_streams() -> None:
    shown: list[PartialImage] = []

    async def fail(request: RenderRequest, on_partial: PartialSink) -> RenderResult:
        raise errors.OutOfMemory("no memory")

    outcome = await chain(fail, on_partial=shown.append).run()
    assert outcome.model == "second"
    assert [partial.index for partial in shown] == [0, 1]


@pytest.mark.parametrize(("replicas", "answered"), [(1, "second"), (2, "first")])
async def test_a_lost_replica_s_work_is_done_again_at_once_where_there_are_others(
    replicas: int, answered: str
) -> None:
    class Replicated(LocalModelClient):
        async def load_reports(self) -> list[ModelLoad]:
            return [ModelLoad()] * replicas

    calls = 0

    async def lost_once(request: RenderRequest) -> RenderResult:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise errors.ReplicaLost("a replica was lost")
        return await echo("first").render(request)

    fleet = Fleet({name: ModelFacts(name, frozenset({Capability.GENERATE})) for name in NAMES})
    await fleet.poll({"first": Replicated("first", lost_once)})
    outcome = await chain(lost_once, fleet=fleet).run()
    assert outcome.model == answered
    assert [failure.outcome for failure in outcome.failures] == ["model_error"]


async def test_the_last_outcome_is_told_with_everything_that_was_tried() -> None:
    alone = replace(DECISION, chain=DECISION.chain[:1])
    with pytest.raises(ApiError) as caught:
        await chain(always(errors.CapacityRefused("the queue is full", 3.2)), alone).run()
    assert caught.value.status == 429
    assert caught.value.message == "the queue is full (tried: first)"
    assert caught.value.headers["retry-after"] == "3"

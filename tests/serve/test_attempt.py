import asyncio
import time
from dataclasses import replace

import numpy as np
import pytest

from deployments import errors
from deployments.client import LocalModelClient
from deployments.types import EncodedImage, Encoding, RenderRequest, RenderResult
from routing.budget import Deadline
from routing.types import AssetRequest, Capability, ModelFacts, Plan, PlannedStage
from serve.attempt import Attempt, attempt
from serve.fleet import Fleet
from serve.jobs import ImageJob
from tests.serve.gateways import Render, echo

PAINT = PlannedStage("painter", Capability.GENERATE, 8, 4, 5, 10.0)
GROW = PlannedStage("grower", Capability.UPSCALE, 16, 8, None, 10.0)
UNLIMITED = Deadline(None)


def fleet() -> Fleet:
    return Fleet(
        {stage.model: ModelFacts(stage.model, frozenset({stage.capability})) for stage in (PAINT, GROW)}
    )


def work(*stages: PlannedStage, deadline: Deadline = UNLIMITED) -> Attempt:
    job = ImageJob("r1", time.monotonic(), AssetRequest(prompt="a fox"), (3,), partial_images=2)
    return Attempt(job, seed=3, plan=Plan(stages), deadline=deadline, deterministic=False)


def clients(**renders: Render) -> dict[str, LocalModelClient]:
    usual = {"painter": echo("painter"), "grower": echo("grower", capability="upscale", scale=2)}
    return {name: LocalModelClient(name, renders.get(name, model.render)) for name, model in usual.items()}


async def test_pixels_go_from_stage_to_stage_and_only_the_last_one_encodes() -> None:
    seen: list[RenderRequest] = []

    def watched(name: str, **fields: object) -> Render:
        async def render(request: RenderRequest) -> RenderResult:
            seen.append(request)
            return await echo(name, **fields).render(request)

        return render

    renders = {"painter": watched("painter"), "grower": watched("grower", capability="upscale", scale=2)}
    image, receipts = await attempt(work(PAINT, GROW), clients(**renders), fleet())
    first, second = seen
    assert (first.encoding, first.image, first.steps, first.width) == (None, None, 5, 8)
    assert isinstance(second.image, np.ndarray)
    assert second.image.shape == (4, 8, 3)
    assert (first.partial_images, second.partial_images) == (2, 0)  # an upscaler has nothing to show early
    assert (image.width, image.height) == (16, 8)
    assert [receipt.model for receipt in receipts] == ["painter", "grower"]


async def test_every_stage_is_told_the_one_deadline() -> None:
    deadlines: list[float] = []

    async def look(request: RenderRequest) -> RenderResult:
        assert request.deadline_unix_s is not None
        deadlines.append(request.deadline_unix_s)
        return await echo("painter").render(request)

    now_s = time.monotonic()
    other = replace(PAINT)
    await attempt(
        work(PAINT, other, deadline=Deadline.after(5000, now_s)),
        {"painter": LocalModelClient("painter", look)},
        fleet(),
    )
    assert deadlines[0] == pytest.approx(deadlines[1], abs=0.05)
    assert deadlines[0] == pytest.approx(time.time() + 5, abs=1)


async def test_without_time_the_model_is_not_asked() -> None:
    async def never(request: RenderRequest) -> RenderResult:
        raise AssertionError("asked")

    late = work(PAINT, deadline=Deadline.after(0, time.monotonic()))
    with pytest.raises(errors.DeadlineExceeded, match="no time was left"):
        await attempt(late, clients(painter=never), fleet())


async def test_a_replica_that_stopped_answering_does_not_hold_the_request() -> None:
    cancelled = asyncio.Event()

    async def hang(request: RenderRequest) -> RenderResult:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        raise AssertionError

    with pytest.raises(errors.DeadlineExceeded):
        await attempt(
            work(PAINT, deadline=Deadline.after(20, time.monotonic())), clients(painter=hang), fleet()
        )
    assert cancelled.is_set()


async def test_a_timeout_of_the_model_s_own_is_its_failure_and_not_the_deadline() -> None:
    async def slow_disk(request: RenderRequest) -> RenderResult:
        raise TimeoutError

    with pytest.raises(errors.ModelFailed):
        await attempt(
            work(PAINT, deadline=Deadline.after(5000, time.monotonic())), clients(painter=slow_disk), fleet()
        )


async def test_a_stage_that_gives_the_wrong_kind_of_image_has_failed() -> None:
    async def pixels(request: RenderRequest) -> RenderResult:
        return await echo("painter").render(replace(request, encoding=None))

    async def file(request: RenderRequest) -> RenderResult:
        return await echo("painter").render(replace(request, encoding=Encoding()))

    with pytest.raises(errors.ModelFailed, match="painter returned pixels"):
        await attempt(work(PAINT), clients(painter=pixels), fleet())
    with pytest.raises(errors.ModelFailed, match="painter encoded an image that another stage needs"):
        await attempt(work(PAINT, GROW), clients(painter=file), fleet())


async def test_the_fleet_learns_from_what_succeeded_and_counts_what_failed() -> None:
    async def fail(request: RenderRequest) -> RenderResult:
        raise errors.OutOfMemory("no memory")

    known = fleet()
    await attempt(work(PAINT), clients(), known)
    for _ in range(10):
        with pytest.raises(errors.OutOfMemory):
            await attempt(work(PAINT), clients(painter=fail), known)
    painter = known.snapshot(time.monotonic()).models["painter"]
    assert (painter.observed, painter.breaker_open) == (1, True)


async def test_callers_who_go_away_are_no_failures_of_the_model() -> None:
    async def cancel(request: RenderRequest) -> RenderResult:
        raise asyncio.CancelledError

    known = fleet()
    for _ in range(10):
        with pytest.raises(asyncio.CancelledError):
            await attempt(work(PAINT), clients(painter=cancel), known)
    assert not known.snapshot(time.monotonic()).models["painter"].breaker_open


async def test_previews_are_passed_on_as_they_come() -> None:
    shown: list[int] = []
    previewing = replace(work(PAINT), on_partial=lambda partial: shown.append(partial.index))
    image, _ = await attempt(previewing, clients(), fleet())
    assert shown == [0, 1]
    assert isinstance(image, EncodedImage)

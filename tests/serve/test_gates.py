"""How many get through to a model, and what becomes of those who wait."""

import asyncio
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments import errors
from deployments.fakes import EchoSpec
from routing.types import AssetRequest, Capability, PlannedStage
from serve.gates import UNBOUNDED, Gates, GateSize

STAGE = PlannedStage("m", Capability.GENERATE, 64, 64, 1, 150.0, 50.0)
ASSET = AssetRequest("a cat", tenant="acme")


def size(**fields: object) -> GateSize:
    return GateSize.of(EchoSpec.model_validate({"kind": "echo", "max_ongoing_requests": 4, **fields}))


def test_as_many_get_through_as_the_replicas_work_on() -> None:
    full = size(autoscaling={"min_replicas": 2, "max_replicas": 2})
    assert full.capacity(2, 1) == 8
    assert full.capacity(2, 3) == 3, "each of three routers lets its part through"


def test_while_replicas_may_be_added_the_autoscaler_sees_enough_to_add_them_all() -> None:
    growing = size(autoscaling={"min_replicas": 0, "max_replicas": 10, "target_ongoing_requests": 3})
    assert growing.capacity(0, 1) == 30, "a model scaled to zero must be asked to start"
    assert growing.capacity(9, 1) == 36
    assert growing.capacity(10, 1) == 40


def test_scaled_by_work_enough_gets_through_to_ask_for_all_replicas() -> None:
    scaling = {"min_replicas": 0, "max_replicas": 10, "target_ongoing_requests": 1}
    growing = size(autoscaling=scaling, work_scaling={"target_work_s": 12, "request_work_s": 4})
    assert growing.capacity(1, 1) == 30


def test_an_unbounded_queue_is_very_long() -> None:
    assert size(max_queued_requests=-1).max_queued == UNBOUNDED
    assert size(max_queued_requests=3).max_queued == 3


@given(replicas=st.integers(0, 50), routers=st.integers(0, 9), more=st.integers(0, 50))
def test_more_replicas_never_let_fewer_through(replicas: int, routers: int, more: int) -> None:
    scaling = size(autoscaling={"min_replicas": 1, "max_replicas": 20})
    assert scaling.capacity(replicas, routers) >= 1
    if replicas >= 20:
        assert scaling.capacity(replicas, routers) <= scaling.capacity(replicas + more, routers)


async def test_who_cannot_be_served_in_time_leaves_the_queue_with_the_time_to_come_back() -> None:
    gates = Gates({"m": size(max_ongoing_requests=1)})
    async with gates.admitted(ASSET, STAGE, 1.0, None):
        began_s = time.monotonic()
        with pytest.raises(errors.CapacityRefused, match="model m is busy") as refused:
            async with gates.admitted(ASSET, STAGE, 1.0, -20.0):
                pytest.fail("nobody may enter a model with no place")
        assert time.monotonic() - began_s < 1.0
    assert refused.value.retry_after_s is not None
    assert 0 < refused.value.retry_after_s <= 0.1
    assert gates.waiting("m") == 0


async def test_a_full_queue_refuses_at_once() -> None:
    gates = Gates({"m": size(max_ongoing_requests=1, max_queued_requests=0)})
    async with gates.admitted(ASSET, STAGE, 1.0, None):
        with pytest.raises(errors.CapacityRefused, match="the queue is full"):
            async with gates.admitted(ASSET, STAGE, 1.0, None):
                pytest.fail("the queue has no room")


async def test_what_goes_before_a_request_depends_on_its_tenant() -> None:
    gates = Gates({"m": size(max_ongoing_requests=1)})
    other = AssetRequest("a cat", tenant="other")
    released = asyncio.Event()

    async def hold() -> None:
        async with gates.admitted(ASSET, STAGE, 1.0, None):
            await released.wait()

    tasks = [asyncio.create_task(hold()) for _ in range(4)]
    for _ in tasks:
        await asyncio.sleep(0)
    assert gates.waiting("m") == 3
    assert gates.costs_ahead_ms("m", ASSET) == [100.0, 100.0, 100.0]
    assert len(gates.costs_ahead_ms("m", other)) < 3, "one that used nothing yet goes before some of them"
    released.set()
    await asyncio.gather(*tasks)
    assert gates.costs_ahead_ms("m", ASSET) == ()


async def test_a_model_without_a_size_is_open() -> None:
    gates = Gates({})
    async with gates.admitted(ASSET, STAGE, 1.0, 0.0):
        assert gates.waiting("m") == 0
        assert gates.costs_ahead_ms("m", ASSET) == ()
    gates.resize("m", 1, 1)


async def test_new_replicas_let_more_through_at_once() -> None:
    gates = Gates({"m": size(max_ongoing_requests=1, autoscaling={"min_replicas": 1, "max_replicas": 1})})
    async with gates.admitted(ASSET, STAGE, 1.0, None):
        second = asyncio.create_task(_enter(gates))
        await asyncio.sleep(0)
        assert gates.waiting("m") == 1
        gates.resize("m", 2, 1)
        await second
    assert gates.waiting("m") == 0


async def _enter(gates: Gates) -> None:
    async with gates.admitted(ASSET, STAGE, 1.0, None):
        return

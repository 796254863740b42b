"""What routers learn from each other."""

import time
from collections.abc import Sequence
from typing import Any

import pytest

from routing.feedback import Verdict
from routing.limits import LimitLedger, Usage
from routing.store import PolicyStore, Refused
from routing.types import Capability, Decision, Limit, ModelFacts, Outcome, PlannedStage
from serve.fleet import Fleet
from serve.ledger import Delivered
from serve.peers import FORGOTTEN_AFTER_S, Peers

FACTS = {"m": ModelFacts("m", frozenset({Capability.GENERATE}))}
STAGE = PlannedStage("m", Capability.GENERATE, 64, 64, 1, 10.0)
DECISION = Decision("v1", "posters", "it matched", None, ())
OLD, NEW = "default: {model: m}", "default: {model: m, max_latency_ms: 100}"


class Router:
    """One router process without HTTP."""

    def __init__(self, network: "list[Router]") -> None:
        network.append(self)
        self.fleet, self.limits = Fleet(FACTS), LimitLedger()
        self.policies = PolicyStore(FACTS, OLD, "test", time.time())

        self.delivered = Delivered()

        async def ask_all(method: str, *arguments: Any) -> Sequence[Any]:
            return [getattr(router.peers, method)(*arguments) for router in network]

        self.peers = Peers(self.fleet, self.limits, self.policies, self.delivered, ask_all)

    def is_open(self) -> bool:
        return self.fleet.snapshot(time.monotonic()).models["m"].breaker_open

    def fail(self) -> None:
        now_s = time.monotonic()
        self.fleet.failed(self.fleet.sent(STAGE, now_s), Outcome.MODEL_ERROR, now_s)


@pytest.fixture
def routers() -> list[Router]:
    network: list[Router] = []
    return [Router(network), Router(network), Router(network)]


async def test_a_model_that_one_router_found_broken_is_left_alone_by_all(routers: list[Router]) -> None:
    for _ in range(5):
        routers[0].fail()
    for router in routers:
        await router.peers.exchange()
    assert all(router.is_open() for router in routers)
    assert [bool(router.peers.state().broken_s) for router in routers] == [True, False, False]


async def test_the_limits_are_those_of_all_routers_together(routers: list[Router]) -> None:
    limit = (Limit("tenant a", concurrency=2),)
    for router in routers[:2]:
        assert router.limits.admit(limit, time.monotonic()) is None
        await router.peers.exchange()
    await routers[2].peers.exchange()
    assert routers[2].limits.admit(limit, time.monotonic()) is not None
    assert routers[2].limits.elsewhere == {"tenant a": Usage(running=2)}


async def test_a_rollback_on_one_router_is_one_on_all(routers: list[Router]) -> None:
    old = routers[0].policies.current.version
    for router in routers:
        assert not isinstance(router.policies.offer(NEW, "test", time.time()), Refused)
    routers[1].policies.rollback(old, time.time())
    for router in (*routers, *routers):
        await router.peers.exchange()
    assert [router.policies.current.version for router in routers] == [old] * 3
    assert [len(router.policies.history) for router in routers] == [3, 3, 3], "once each"
    later = routers[0].policies.offer(NEW, "test", time.time())
    assert not isinstance(later, Refused)
    await routers[0].peers.exchange()
    assert routers[0].policies.current.version != old, "what came later stays"


async def test_a_rollback_to_what_a_router_never_had_changes_nothing_there(routers: list[Router]) -> None:
    first, second, _ = routers
    first.policies.offer(NEW, "test", time.time())
    first.policies.rollback(first.policies.versions[-1], time.time())
    before = second.policies.current.version
    await second.peers.exchange()
    assert second.policies.current.version == before


async def test_a_router_that_is_gone_does_not_count_for_long(routers: list[Router]) -> None:
    routers[0].limits.admit((Limit("k", concurrency=1),), time.monotonic())
    now_s = time.monotonic()
    routers[1].peers.hear([routers[0].peers.state(), routers[2].peers.state()], now_s)
    assert routers[1].fleet.routers == 3
    routers[1].peers.hear([routers[2].peers.state()], now_s + FORGOTTEN_AFTER_S + 1)
    assert routers[1].fleet.routers == 2
    assert routers[1].limits.elsewhere == {}


async def test_a_router_alone_asks_nobody() -> None:
    alone = Router([])
    peers = Peers(alone.fleet, alone.limits, alone.policies, alone.delivered)
    await peers.exchange()
    assert alone.fleet.routers == 1
    alone.delivered.add("r1", DECISION)
    assert await peers.judge_anywhere("r1", Verdict.ACCEPTED, 0.0)
    assert not await peers.judge_anywhere("r2", Verdict.ACCEPTED, 0.0)
    assert [rate.count for rate in (await peers.judged_anywhere()).rates()] == [1]


async def test_feedback_reaches_the_router_that_delivered_and_is_counted_once(routers: list[Router]) -> None:
    routers[2].delivered.add("r1", DECISION)
    routers[1].delivered.add("r2", DECISION)
    for router in routers:
        assert await router.peers.judge_anywhere("r1", Verdict.FIXED, 6.0)
    assert await routers[0].peers.judge_anywhere("r2", Verdict.ACCEPTED, 0.0)
    assert not await routers[0].peers.judge_anywhere("r3", Verdict.ACCEPTED, 0.0)
    for router in routers:
        [rate] = (await router.peers.judged_anywhere()).rates()
        assert (rate.route, rate.count, rate.fixed, rate.minutes_mean) == ("posters", 2, 1, 6.0)

import pytest

from deployments.client import LocalModelClient
from deployments.types import ModelLoad
from routing.types import Capability, ModelFacts, Outcome, PlannedStage
from serve.fleet import Fleet
from tests.serve.gateways import echo

FACTS = {name: ModelFacts(name, frozenset({Capability.GENERATE})) for name in ("a", "b")}
STAGE = PlannedStage("a", Capability.GENERATE, 64, 64, 1, 10.0)


class Gone(LocalModelClient):
    async def load_reports(self) -> list[ModelLoad]:
        return []


async def test_who_answers_a_poll_is_up() -> None:
    fleet = Fleet(FACTS, scale_to_zero=["b"])
    assert not fleet.is_up("a")
    assert fleet.is_up("b")
    await fleet.poll({"a": LocalModelClient("a", echo("a").render), "b": Gone("b", echo("b").render)})
    assert fleet.is_up("a")
    assert (fleet.replicas("a"), fleet.replicas("b")) == (1, 0)
    await fleet.poll({"a": Gone("a", echo("a").render)})
    assert not fleet.is_up("a")


async def test_a_replica_that_died_makes_its_model_unavailable_to_decisions() -> None:
    fleet = Fleet(FACTS)
    await fleet.poll({"a": Gone("a", echo("a").render)})
    assert not fleet.snapshot(1.0).models["a"].available


def test_failures_open_the_breaker_of_that_model_alone() -> None:
    fleet = Fleet(FACTS)
    for second in range(30):
        fleet.failed(fleet.sent(STAGE, float(second)), Outcome.MODEL_ERROR, float(second))
    states = fleet.snapshot(29.5).models
    assert states["a"].breaker_open
    assert not states["b"].breaker_open


def test_what_another_router_found_broken_is_left_alone_and_not_passed_on() -> None:
    here, there = Fleet(FACTS), Fleet(FACTS)
    for _ in range(5):
        there.failed(there.sent(STAGE, 0.0), Outcome.MODEL_ERROR, 0.0)
    here.hear_broken({**there.broken(0.0), "unknown": 9.0}, 0.0)
    assert here.snapshot(0.0).models["a"].breaker_open
    assert not here.snapshot(0.0).models["b"].breaker_open
    assert here.broken(0.0) == {}


def test_a_call_that_failed_at_once_leaves_no_queue_behind() -> None:
    fleet = Fleet(FACTS)
    sent = fleet.sent(STAGE, 0.0)
    assert fleet.snapshot(0.0).models["a"].wait_ms == pytest.approx(10.0)
    fleet.failed(sent, Outcome.REFUSED_CAPACITY, 0.0)
    assert fleet.snapshot(0.0).models["a"].wait_ms == 0.0

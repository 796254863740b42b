"""A platform at 150% of its capacity, in simulated time: who is let in must be served in time."""

import heapq
import random
from dataclasses import dataclass

import pytest

from routing.decide import PolicyEngine
from routing.latency import LatencyModel
from routing.policy import load_policy
from routing.types import AssetRequest, Outcome
from tests.routing.builders import facts

PLACES, SERVICE_MS, BUDGET_MS, REQUESTS = 4, 200.0, 1500.0, 2000
MODELS = {"m": facts("m", prior_overhead_ms=SERVICE_MS)}


@dataclass(frozen=True, slots=True)
class Result:
    admitted: int
    in_time: int
    refusals: tuple[float, ...]


def simulated(noise_ratio: float, *, decides: bool, load_ratio: float = 1.5) -> Result:
    """One FIFO model with several places; without decisions everybody queues."""
    chance = random.Random(11)
    policy = load_policy(f"default: {{model: m, max_latency_ms: {BUDGET_MS}}}", source="p", models=MODELS)
    engine, known = PolicyEngine(policy, MODELS), LatencyModel(MODELS, {"m": PLACES})
    places, ended, now_s = [0.0] * PLACES, [], 0.0
    admitted = in_time = 0
    refusals = []
    for _ in range(REQUESTS):
        now_s += chance.expovariate(load_ratio * PLACES / SERVICE_MS * 1000)
        while ended and ended[0][0] <= now_s:
            at_s, run_ms, queue_ms = heapq.heappop(ended)
            known.observe("m", None, 512, 512, run_ms, queue_ms, at_s)
        decision = engine.decide(AssetRequest("x"), known.snapshot(now_s), now_s)
        if decides and not decision.chain:
            assert decision.refusal is Outcome.REFUSED_CAPACITY
            refusals.append(decision.retry_after_s or 0.0)
            continue
        run_ms = SERVICE_MS * chance.uniform(1 - noise_ratio, 1 + noise_ratio)
        start_s = max(now_s, places[0])
        end_s = start_s + run_ms / 1000
        heapq.heapreplace(places, end_s)
        heapq.heappush(ended, (end_s, run_ms, (start_s - now_s) * 1000))
        if decision.chain:
            (stage,) = decision.chain[0].stages
            known.sent("m", stage.predicted_ms - stage.wait_ms, now_s)
        admitted += 1
        in_time += (end_s - now_s) * 1000 <= BUDGET_MS
    return Result(admitted, in_time, tuple(refusals))


@pytest.mark.parametrize("noise_ratio", [0.0, 0.05, 0.2, 0.4])
def test_nearly_all_that_are_admitted_are_in_time_and_the_model_stays_busy(noise_ratio):
    result = simulated(noise_ratio, decides=True)
    assert result.in_time >= 0.99 * result.admitted
    assert result.in_time >= 0.9 * REQUESTS / 1.5, "of what an oracle could serve"
    assert min(result.refusals) >= 1.0


def test_without_decisions_nearly_everybody_is_late():
    assert simulated(0.1, decides=False).in_time < 0.3 * REQUESTS


def test_nobody_is_refused_while_there_is_capacity():
    result = simulated(0.1, decides=True, load_ratio=0.6)
    assert result.refusals == ()
    assert result.in_time == REQUESTS

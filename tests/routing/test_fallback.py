import pytest

from routing.fallback import CONTINUES, next_plan
from routing.types import Capability, Decision, ModelState, Outcome, Plan, PlannedStage, Snapshot

IDLE = Snapshot()


def plan(*models: str, ms: float = 100, side: int = 512, rung: int = 0) -> Plan:
    stages = tuple(PlannedStage(name, Capability.GENERATE, side, side, None, ms) for name in models)
    return Plan(stages, rung)


def decision(*chain: Plan, **more: object) -> Decision:
    return Decision("v", "r", "", 1000, chain, **more)  # type: ignore[arg-type]


A, B, C = plan("a"), plan("b", rung=1), plan("c", rung=2)


def test_every_outcome_is_in_the_table():
    assert set(CONTINUES) == set(Outcome)


@pytest.mark.parametrize("outcome", [each for each in Outcome if CONTINUES[each]])
def test_the_next_candidate_follows(outcome):
    assert next_plan(decision(A, B), [(A, outcome)], 1000, IDLE) == B


@pytest.mark.parametrize("outcome", [Outcome.CANCELLED, Outcome.CONTENT_REFUSED, Outcome.OK])
def test_some_outcomes_end_the_chain(outcome):
    assert next_plan(decision(A, B), [(A, outcome)], 1000, IDLE) is None


def test_a_content_refusal_goes_on_only_where_the_route_says_so():
    lax = decision(A, B, continue_on_content_refused=True)
    assert next_plan(lax, [(A, Outcome.CONTENT_REFUSED)], 1000, IDLE) == B


def test_a_chain_ends():
    failed = [(A, Outcome.MODEL_ERROR), (B, Outcome.OUT_OF_MEMORY)]
    assert next_plan(decision(A, B), failed, 1000, IDLE) is None


def test_what_no_longer_fits_is_skipped():
    slow, quick = plan("b", ms=500), plan("c", ms=50)
    assert next_plan(decision(A, slow, quick), [(A, Outcome.MODEL_ERROR)], 200, IDLE) == quick
    assert next_plan(decision(A, slow, quick), [(A, Outcome.MODEL_ERROR)], 20, IDLE) is None
    assert next_plan(decision(A, slow), [(A, Outcome.MODEL_ERROR)], None, IDLE) == slow
    assert next_plan(decision(A, plan("b", ms=0)), [(A, Outcome.MODEL_ERROR)], 0, IDLE) is None


def test_the_queue_as_it_is_now_counts():
    grown = Snapshot({"b": ModelState(wait_ms=950)})
    assert next_plan(decision(A, B, C), [(A, Outcome.MODEL_ERROR)], 1000, grown) == C
    waited = Plan((PlannedStage("b", Capability.GENERATE, 8, 8, None, 1050, wait_ms=950),))
    drained = Snapshot({"b": ModelState(wait_ms=0)})
    assert next_plan(decision(A, waited), [(A, Outcome.MODEL_ERROR)], 200, drained) == waited


@pytest.mark.parametrize("state", [ModelState(available=False), ModelState(breaker_open=True)])
def test_a_model_that_takes_no_calls_is_skipped(state):
    assert next_plan(decision(A, B, C), [(A, Outcome.MODEL_ERROR)], 1000, Snapshot({"b": state})) == C


def test_a_plan_that_contains_all_of_a_failed_one_is_skipped():
    same_model, with_more, without = plan("a", ms=50), plan("a", "up"), plan("b")
    chain = decision(A, same_model, with_more, without)
    assert next_plan(chain, [(A, Outcome.MODEL_GONE)], 1000, IDLE) == without


def test_a_failed_chain_does_not_rule_out_its_innocent_parts():
    both, alone = plan("gen", "up"), plan("gen")
    assert next_plan(decision(both, alone), [(both, Outcome.MODEL_ERROR)], 1000, IDLE) == alone


def test_after_out_of_memory_the_same_model_may_try_a_smaller_image():
    same_size, smaller = plan("a", ms=50), plan("a", "up", side=256)
    failed = [(A, Outcome.OUT_OF_MEMORY)]
    assert next_plan(decision(A, same_size, smaller), failed, 1000, IDLE) == smaller


def test_after_a_missed_deadline_the_same_model_may_try_fewer_steps():
    slower, quicker = plan("a", ms=150), plan("a", ms=40)
    failed = [(A, Outcome.DEADLINE_EXCEEDED)]
    assert next_plan(decision(A, slower, quicker), failed, 1000, IDLE) == quicker

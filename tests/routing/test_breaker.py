import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.breaker import FAILURES, Breaker, BreakerSettings, BreakerState
from routing.types import Outcome

SETTINGS = BreakerSettings(
    min_calls=4, window_s=10, failure_ratio=0.5, cooldown_s=5, max_cooldown_s=12, probe_interval_s=1
)


def opened() -> Breaker:
    """Open from time 0 to 5."""
    breaker = Breaker(SETTINGS)
    for _ in range(4):
        breaker.record(Outcome.MODEL_ERROR, 0.0)
    return breaker


def test_it_opens_when_enough_calls_failed():
    breaker = Breaker(SETTINGS)
    for outcome in (Outcome.OK, Outcome.MODEL_ERROR, Outcome.OK):
        breaker.record(outcome, 0.0)
    assert breaker.allows(0.0)
    breaker.record(Outcome.OUT_OF_MEMORY, 0.0)
    assert breaker.state(0.0) is BreakerState.OPEN
    assert not breaker.allows(4.9)
    assert breaker.retry_after_s(1.0) == pytest.approx(4.0)


def test_a_few_failures_are_not_enough():
    breaker = Breaker(SETTINGS)
    for _ in range(3):
        breaker.record(Outcome.MODEL_ERROR, 0.0)
    assert breaker.allows(0.0)


def test_old_failures_are_forgotten():
    breaker = Breaker(SETTINGS)
    for at in (0.0, 0.0, 0.0, 11.0):
        breaker.record(Outcome.MODEL_ERROR, at)
    assert breaker.allows(11.0)


@pytest.mark.parametrize("outcome", [each for each in Outcome if each not in FAILURES])
def test_outcomes_that_are_not_the_models_fault_never_open_it(outcome):
    breaker = Breaker(SETTINGS)
    for _ in range(50):
        breaker.record(outcome, 0.0)
    assert breaker.allows(0.0)


def test_a_retired_model_is_left_alone_at_once():
    breaker = Breaker(SETTINGS)
    breaker.record(Outcome.MODEL_GONE, 0.0)
    assert not breaker.allows(0.0)


def test_half_open_lets_one_probe_through():
    breaker = opened()
    assert breaker.state(5.0) is BreakerState.HALF_OPEN
    assert breaker.allows(5.0)
    breaker.started(5.0)
    assert not breaker.allows(5.5)
    assert breaker.retry_after_s(5.5) == pytest.approx(0.5)
    assert breaker.allows(6.0), "a probe that is lost must not hold the breaker for ever"


def test_a_probe_that_answers_closes_it():
    breaker = opened()
    breaker.started(5.0)
    breaker.record(Outcome.OK, 5.2)
    assert breaker.state(5.2) is BreakerState.CLOSED
    assert breaker.retry_after_s(5.2) is None


def test_each_failed_probe_doubles_the_cooldown_up_to_its_limit():
    breaker, now, waits = opened(), 5.0, []
    for _ in range(3):
        breaker.record(Outcome.MODEL_ERROR, now)
        waits.append(breaker.retry_after_s(now))
        now += waits[-1] or 0.0
    assert waits == pytest.approx([10, 12, 12])


def test_a_probe_that_says_nothing_makes_room_for_another():
    breaker = opened()
    breaker.started(5.0)
    breaker.record(Outcome.REFUSED_CAPACITY, 5.1)
    assert breaker.allows(5.1)


def test_late_answers_of_calls_sent_before_it_opened_change_nothing():
    breaker = opened()
    breaker.record(Outcome.OK, 1.0)
    assert breaker.state(1.0) is BreakerState.OPEN


@given(st.lists(st.tuples(st.sampled_from(list(Outcome)), st.floats(0, 3)), max_size=60))
def test_whatever_happened_it_allows_a_call_again_within_its_longest_cooldown(events):
    breaker, now = Breaker(SETTINGS), 0.0
    for outcome, passed in events:
        now += passed
        breaker.record(outcome, now)
    wait = breaker.retry_after_s(now)
    assert wait is None or 0 <= wait <= SETTINGS.max_cooldown_s + 1e-6
    assert breaker.allows(now + SETTINGS.max_cooldown_s + 1e-6)


def test_what_another_router_found_is_heard_but_not_passed_on():
    here, there = Breaker(), Breaker()
    for _ in range(5):
        there.record(Outcome.MODEL_ERROR, 0.0)
    open_for_s = there.found_open_s(1.0)
    assert open_for_s == pytest.approx(4.0)
    here.hear(open_for_s, 1.0)
    assert not here.allows(1.0)
    assert here.found_open_s(1.0) is None
    assert here.state(5.0) is BreakerState.HALF_OPEN, "a router that says nothing more does not matter"
    here.started(5.0)
    here.record(Outcome.OK, 5.1)
    assert here.state(5.1) is BreakerState.CLOSED


def test_a_probe_that_fails_after_hearsay_is_a_finding_of_its_own():
    breaker = Breaker()
    breaker.hear(2.0, 0.0)
    breaker.started(2.0)
    breaker.record(Outcome.MODEL_ERROR, 2.1)
    assert breaker.found_open_s(2.1) == pytest.approx(10.0), "twice the first cooldown"

"""The plan is a pure function: tables for what it chooses, hypothesis for what it never does."""

import itertools
import random
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployments.engine.planning import plan
from deployments.engine.work import Order, Rules, Shape, Standing

SMALL, LARGE = Shape(512, 512), Shape(1024, 1024)


@dataclass(frozen=True)
class FixedCosts:
    """Step time = fixed + per_request * batch; 0 means nothing is known."""

    fixed_s: float = 0.1
    per_request_s: float = 0.1
    decode: float = 0.0
    caps: dict[Shape, int] = field(default_factory=dict)

    def step_s(self, shape: Shape, batch: int) -> float:
        return self.fixed_s + self.per_request_s * batch

    def decode_s(self, shape: Shape) -> float:
        return self.decode

    def cap(self, shape: Shape) -> int:
        return self.caps.get(shape, 4)


ROOMY, DEFAULT = FixedCosts(), Rules()


def standing(number: int, steps: int = 10, deadline_s: float | None = None, **changes: object) -> Standing:
    return replace(Standing(number, SMALL, steps, arrived_s=float(number), deadline_s=deadline_s), **changes)  # type: ignore[arg-type]


def chosen(
    *queue: Standing, now_s: float = 10.0, costs: FixedCosts = ROOMY, rules: Rules = DEFAULT
) -> tuple[int, ...]:
    batch = plan(queue, costs, now_s, rules).batch
    return batch.numbers if batch else ()


def refused(*queue: Standing, now_s: float = 10.0, costs: FixedCosts = ROOMY) -> dict[int, float]:
    return {one.number: one.predicted_s for one in plan(queue, costs, now_s, Rules()).refused}


def test_nothing_to_do() -> None:
    assert chosen() == ()


def test_without_deadlines_first_come_is_first_served() -> None:
    assert chosen(standing(2), standing(1), standing(3)) == (1, 2, 3)


def test_the_earliest_deadline_leads() -> None:
    assert chosen(standing(1, deadline_s=90.0), standing(2, deadline_s=50.0), standing(3)) == (3, 2, 1)


def test_ties_go_to_the_one_that_came_first() -> None:
    assert chosen(standing(2, deadline_s=50.0), standing(1, deadline_s=50.0)) == (1, 2)


def test_a_batch_holds_one_shape_and_the_leader_chooses_it() -> None:
    queue = [standing(1), standing(2, shape=LARGE, deadline_s=20.0), standing(3), standing(4, shape=LARGE)]
    assert chosen(*queue) == (2, 4)


def test_a_batch_is_not_larger_than_its_shape_allows() -> None:
    assert chosen(*(standing(number) for number in range(9)), costs=FixedCosts(caps={SMALL: 3})) == (0, 1, 2)


def test_cancelled_requests_take_no_step() -> None:
    assert chosen(standing(1, cancelled=True), standing(2)) == (2,)


def test_what_cannot_be_on_time_even_alone_is_refused_with_the_prediction() -> None:
    """10 steps of 0.2 s and 0.5 s of decoding, with 2.4 s to go."""
    assert refused(standing(1, deadline_s=12.4), costs=FixedCosts(decode=0.5)) == {1: pytest.approx(2.5)}


def test_what_is_just_in_time_is_not_refused() -> None:
    assert refused(standing(1, deadline_s=12.5), costs=FixedCosts(decode=0.5)) == {}


def test_nobody_is_refused_on_a_guess() -> None:
    late = standing(1, deadline_s=10.1, refusable=False)
    assert refused(late) == {}
    assert chosen(late) == (1,)


def test_when_not_all_can_be_on_time_the_longest_is_given_up() -> None:
    """Full batches take 0.5 s for 4 requests: 0.125 s a request and step. Ten of the short and one long
    request are 1.25 s and 1.75 s of work; all are due in 2.9 s."""
    short = [standing(number, steps=1, deadline_s=12.9) for number in range(10)]
    long = standing(99, steps=14, deadline_s=12.9)
    assert refused(*short, long) == {99: pytest.approx(10 * 0.125 + 14 * 0.125)}


def test_what_has_begun_is_not_refused_but_goes_last() -> None:
    short = [standing(number, steps=1, deadline_s=12.9) for number in range(10)]
    long = standing(99, steps=14, deadline_s=12.9, steps_done=1)
    assert refused(*short, long) == {}
    assert 99 not in chosen(*short, long)
    assert chosen(*short[:2], long) == (0, 1, 99)


def test_company_is_kept_only_as_long_as_the_leader_is_on_time() -> None:
    """10 steps: 2 s alone, 3 s with one neighbour, 4 s with two."""
    company = [standing(number, steps=1) for number in (5, 6, 7)]
    assert chosen(standing(1, deadline_s=12.2), *company) == (1,)
    assert chosen(standing(1, deadline_s=13.2), *company) == (1, 5)
    assert chosen(standing(1, deadline_s=14.2), *company) == (1, 5, 6)


def test_patience_puts_a_request_without_deadline_before_later_ones_with_one() -> None:
    patient = standing(0, steps=1)
    rivals = [standing(number, steps=1, deadline_s=10.0 + number) for number in (1, 25)]
    assert chosen(patient, *rivals, rules=Rules(patience_s=20.0)) == (1, 0, 25)


def test_background_work_has_the_longer_patience() -> None:
    queue = [standing(1, background=True), standing(2), standing(3, deadline_s=200.0)]
    assert chosen(*queue, rules=Rules(patience_s=30.0, background_patience_s=300.0)) == (2, 3, 1)


def test_a_steady_request_is_padded_to_the_steady_width() -> None:
    batch = plan([standing(1, steady=True)], FixedCosts(), 10.0, Rules(steady_width=4)).batch
    assert batch is not None
    assert (batch.numbers, batch.width) == ((1,), 4)


def test_others_fill_the_padding_of_a_steady_request() -> None:
    queue = [standing(1, steady=True), *(standing(number) for number in range(2, 9))]
    batch = plan(queue, FixedCosts(caps={SMALL: 8}), 10.0, Rules(steady_width=4)).batch
    assert batch is not None
    assert (batch.numbers, batch.width) == ((1, 2, 3, 4), 4)


def test_without_steady_requests_nothing_is_padded() -> None:
    batch = plan([standing(1), standing(2)], FixedCosts(), 10.0, Rules(steady_width=4)).batch
    assert batch is not None
    assert batch.width is None


def test_a_leader_short_of_time_takes_no_steady_company() -> None:
    """The steady one would widen the batch to 4, which the leader cannot afford."""
    queue = [standing(1, deadline_s=13.2), standing(2, steady=True), standing(3)]
    batch = plan(queue, FixedCosts(), 10.0, Rules(steady_width=4)).batch
    assert batch is not None
    assert (batch.numbers, batch.width) == ((1, 3), None)


def test_a_suspect_runs_alone_and_first() -> None:
    assert chosen(standing(1, alone=True), standing(2)) == (1,)
    assert chosen(standing(1), standing(2, alone=True), standing(3)) == (2,)


def test_first_come_order_gives_nobody_up() -> None:
    short = [standing(number, steps=1, deadline_s=13.0) for number in range(1, 11)]
    long = standing(0, steps=14, deadline_s=12.9)
    decision = plan([*short, long], FixedCosts(), 10.0, Rules(order=Order.ARRIVAL))
    assert not decision.refused
    assert decision.batch is not None
    assert decision.batch.numbers == (0, 1, 2, 3)


def test_without_deadlines_the_long_step_aside_for_the_short() -> None:
    """A step of two takes 0.3 s, of one 0.2 s: without the long one the short one is done in 2/3 the time."""
    assert chosen(standing(1, steps=30), standing(2, steps=4)) == (2,)
    assert chosen(standing(1, steps=29, steps_done=1), standing(2, steps=4)) == (2,)


def test_where_company_costs_next_to_nothing_nobody_steps_aside() -> None:
    queue = [standing(1, steps=30), standing(2, steps=4)]
    assert chosen(*queue, costs=FixedCosts(fixed_s=1.0, per_request_s=0.01)) == (2, 1)


def test_nobody_steps_aside_on_a_guess() -> None:
    queue = [standing(1, steps=30), standing(2, steps=4)]
    assert chosen(*queue, costs=FixedCosts(fixed_s=0.0, per_request_s=0.0)) == (1, 2)


def test_nobody_steps_aside_for_its_like() -> None:
    """However little is left of it."""
    queue = [standing(1, steps=2, steps_done=26), standing(2, steps=28), standing(3, steps=28)]
    assert chosen(*queue, costs=FixedCosts(fixed_s=0.0)) == (1, 2, 3)


def test_the_long_take_no_place_from_the_short() -> None:
    long = [standing(number, steps=30) for number in range(4)]
    assert chosen(*long, standing(8, steps=4), standing(9, steps=4)) == (8, 9)


def test_who_has_waited_for_twice_its_own_time_steps_aside_no_more() -> None:
    """Alone, 30 steps take 6 s; it came after 1 s."""
    queue = [standing(1, steps=30), standing(2, steps=4, arrived_s=12.0)]
    assert chosen(*queue, now_s=12.9) == (2,)
    assert chosen(*queue, now_s=13.1) == (1, 2)


def test_who_is_out_of_patience_steps_aside_no_more() -> None:
    queue = [standing(1, steps=30), standing(2, steps=4, arrived_s=12.0)]
    assert chosen(*queue, now_s=12.9, rules=Rules(patience_s=11.0)) == (1, 2)


def test_background_work_steps_aside_for_as_long_as_its_patience() -> None:
    queue = [standing(1, steps=30, background=True), standing(2, steps=4, arrived_s=300.0)]
    assert chosen(*queue, now_s=300.5) == (2,)
    assert chosen(*queue, now_s=301.5) == (1, 2)


def test_who_has_a_deadline_steps_aside_for_nobody() -> None:
    assert chosen(standing(1, steps=30, deadline_s=500.0), standing(2, steps=4)) == (2, 1)


def test_an_unhurried_long_request_does_not_slow_a_short_one_with_a_deadline() -> None:
    assert chosen(standing(1, steps=30, background=True), standing(2, steps=4, deadline_s=90.0)) == (2,)


def test_slack_order_counts_the_work_that_is_left() -> None:
    """Due at the same time; the one with more steps left has less to spare."""
    queue = [standing(1, steps=2, deadline_s=60.0), standing(2, steps=20, deadline_s=60.0)]
    assert chosen(*queue, rules=Rules(order=Order.SLACK)) == (2, 1)


shapes = st.sampled_from([SMALL, LARGE, Shape(512, 512, guided=False)])
queues = st.lists(
    st.builds(
        Standing,
        number=st.integers(0, 10**6),
        shape=shapes,
        steps_left=st.integers(1, 50),
        arrived_s=st.floats(0, 100),
        deadline_s=st.none() | st.floats(50, 200),
        steady=st.booleans(),
        steps_done=st.integers(0, 50),
        alone=st.booleans(),
        refusable=st.booleans(),
        cancelled=st.booleans(),
    ),
    max_size=20,
    unique_by=lambda one: one.number,
)
all_costs = st.builds(
    FixedCosts,
    fixed_s=st.floats(0, 1),
    per_request_s=st.floats(0, 1),
    decode=st.floats(0, 1),
    caps=st.dictionaries(shapes, st.integers(1, 8)),
)
all_rules = st.builds(
    Rules, order=st.sampled_from(Order), patience_s=st.floats(1, 60), steady_width=st.integers(1, 8)
)


@given(queues, all_costs, st.floats(100, 150), all_rules)
@settings(max_examples=200, deadline=None)
def test_what_a_plan_never_does(queue: list[Standing], costs: FixedCosts, now_s: float, rules: Rules) -> None:
    decision = plan(queue, costs, now_s, rules)
    by_number = {one.number: one for one in queue}
    out = [one.number for one in decision.refused]
    assert len(set(out)) == len(out)
    for number in out:
        one = by_number[number]
        assert one.deadline_s is not None
        assert one.refusable
        assert not one.cancelled
    waiting = [one for one in queue if not one.cancelled and one.number not in out]
    if decision.batch is None:
        assert not waiting
        return
    numbers = decision.batch.numbers
    members = [by_number[number] for number in numbers]
    assert numbers
    assert len(set(numbers)) == len(numbers)
    assert not set(numbers) & set(out)
    assert not any(one.cancelled for one in members)
    assert {one.shape for one in members} == {decision.batch.shape}
    assert max(len(numbers), decision.batch.width or 0) <= costs.cap(decision.batch.shape)
    if any(one.steady for one in members):
        assert decision.batch.width == min(rules.steady_width, costs.cap(decision.batch.shape))
        assert len(numbers) <= decision.batch.width
    assert len(members) == 1 or not any(one.alone for one in members)
    assert decision.batch == plan(list(reversed(queue)), costs, now_s, rules).batch


@given(
    steps=st.integers(1, 50),
    done=st.lists(st.integers(0, 49), min_size=1, max_size=8),
    fixed_s=st.floats(0, 10),
    per_request_s=st.floats(0, 10),
)
def test_equals_fill_the_batch(steps: int, done: list[int], fixed_s: float, per_request_s: float) -> None:
    queue = [
        standing(number, steps - min(each, steps - 1), steps_done=min(each, steps - 1))
        for number, each in enumerate(done)
    ]
    costs = FixedCosts(fixed_s, per_request_s, caps={SMALL: 8})
    assert chosen(*queue, costs=costs) == tuple(range(len(done)))


@given(cap=st.integers(1, 6), pressure=st.floats(1.0, 3.0), seed=st.integers(0, 2**32))
@settings(max_examples=25, deadline=None)
def test_nobody_starves(cap: int, pressure: float, seed: int) -> None:
    """However many requests with deadlines keep coming, one without runs once its patience is over and
    those that were due before it are done."""
    rng = random.Random(seed)
    costs = FixedCosts(fixed_s=0.1, per_request_s=0.1, caps={SMALL: cap})
    step_s = costs.step_s(SMALL, cap)
    longest_budget_s = 6.0 * 4 * step_s
    numbers = itertools.count(1)

    def rivals(now_s: float, count: int) -> list[Standing]:
        steps = [rng.randint(1, 4) for _ in range(count)]
        budgets_s = [rng.uniform(1.0, 6.0) * many * step_s for many in steps]
        return [
            standing(next(numbers), many, now_s + budget_s, arrived_s=now_s)
            for many, budget_s in zip(steps, budgets_s, strict=True)
        ]

    patience_s, now_s = 5.0, 0.0
    queue = [standing(0, steps=3, arrived_s=0.0), *rivals(0.0, 10 * cap)]
    while any(one.number == 0 for one in queue):
        queue += rivals(now_s, int(rng.uniform(0, 2) * pressure * cap))
        decision = plan(queue, costs, now_s, Rules(patience_s=patience_s))
        gone = {one.number for one in decision.refused}
        assert decision.batch is not None
        ran = set(decision.batch.numbers)
        queue = [
            replace(one, steps_left=one.steps_left - 1, steps_done=one.steps_done + 1)
            if one.number in ran
            else one
            for one in queue
            if one.number not in gone and not (one.number in ran and one.steps_left == 1)
        ]
        now_s += step_s
        assert now_s <= patience_s + longest_budget_s + 4 * step_s


@given(cap=st.integers(1, 6), pressure=st.floats(1.0, 3.0), seed=st.integers(0, 2**32))
@settings(max_examples=25, deadline=None)
def test_the_short_do_not_starve_the_long(cap: int, pressure: float, seed: int) -> None:
    """However many short requests keep coming, a long one runs at every step once it has yielded for twice
    its own time."""
    rng = random.Random(seed)
    costs = FixedCosts(fixed_s=0.1, per_request_s=0.1, caps={SMALL: cap})
    numbers, now_s, steps = itertools.count(1), 0.0, 20
    alone_s, full_s = steps * costs.step_s(SMALL, 1), costs.step_s(SMALL, cap)
    queue = [standing(0, steps=steps, arrived_s=0.0)]
    while any(one.number == 0 for one in queue):
        coming = int(rng.uniform(0, 2) * pressure * cap)
        queue += [standing(next(numbers), rng.randint(1, 4), arrived_s=now_s) for _ in range(coming)]
        batch = plan(queue, costs, now_s, DEFAULT).batch
        assert batch is not None
        queue = [
            replace(one, steps_left=one.steps_left - 1, steps_done=one.steps_done + 1)
            if one.number in batch.numbers
            else one
            for one in queue
            if not (one.number in batch.numbers and one.steps_left == 1)
        ]
        now_s += costs.step_s(SMALL, len(batch.numbers))
        assert now_s <= DEFAULT.yields_ratio * alone_s + (steps + 1) * full_s + 1e-6

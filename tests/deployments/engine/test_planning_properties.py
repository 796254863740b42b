"""What a plan never does, whatever the queue, the costs and the rules."""

import itertools
import random
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from deployments.engine.planning import plan
from deployments.engine.work import Order, Rules, Shape, Standing
from tests.deployments.engine.standings import (
    LARGE,
    SMALL,
    FixedCosts,
    chosen,
    standing,
)

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


@given(
    cap=st.integers(1, 6),
    many=st.integers(1, 4),
    shape=st.sampled_from([SMALL, LARGE]),
    pressure=st.floats(1.0, 3.0),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=40, deadline=None)
def test_the_short_do_not_starve_the_long(
    cap: int, many: int, shape: Shape, pressure: float, seed: int
) -> None:
    """However many short requests keep coming, the first of the long ones that have waited for their own time
    runs at every step, or at every other one if it shares none with them; so one after another gets done."""
    rng = random.Random(seed)
    costs = FixedCosts(fixed_s=0.1, per_request_s=0.1, caps={SMALL: cap, LARGE: cap})
    rules = Rules(patience_s=10_000.0)
    numbers, now_s, steps, last = itertools.count(many), 0.0, 20, None
    alone_s, full_s = steps * costs.step_s(SMALL, 1), costs.step_s(SMALL, cap)
    turns = 1 if shape == SMALL else 2
    queue = [standing(number, steps=steps, arrived_s=0.0, shape=shape) for number in range(many)]
    while waiting := sum(one.number < many for one in queue):
        coming = int(rng.uniform(0, 2) * pressure * cap)
        queue += [standing(next(numbers), rng.randint(1, 4), arrived_s=now_s) for _ in range(coming)]
        batch = plan(queue, costs, now_s, rules, last).batch
        assert batch is not None
        last = batch.shape
        queue = [
            replace(one, steps_left=one.steps_left - 1, steps_done=one.steps_done + 1)
            if one.number in batch.numbers
            else one
            for one in queue
            if not (one.number in batch.numbers and one.steps_left == 1)
        ]
        now_s += costs.step_s(SMALL, len(batch.numbers))
        done = many - waiting
        allowed_s = (done + 1) * turns * steps * full_s + turns * full_s
        assert now_s <= rules.yields_ratio * alone_s + allowed_s + 1e-6

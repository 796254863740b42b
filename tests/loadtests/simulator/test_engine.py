"""The engine that jumps against one that asks the scheduler at every single step."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployments.engine.planning import plan
from deployments.engine.work import Rules, Shape
from loadtests.simulator.engine import Job, StepCosts, StepEngine

SMALL, LARGE = Shape(512, 512), Shape(1024, 1024)
RULES = Rules()


def costs(max_batch=3, per_megapixel_s=0.04):
    return StepCosts(fixed_s=0.013, per_megapixel_s=per_megapixel_s, decode_time_s=0.02, max_batch=max_batch)


def jump(arrivals, known):
    """(number, s, finished?) for every job."""
    engine, ends = StepEngine(known, RULES), []
    waiting = [job(number, *each) for number, each in enumerate(arrivals)]
    while waiting or engine.wake_s < float("inf"):
        if waiting and waiting[0].arrived_s <= engine.wake_s:
            engine.add(waiting[0], waiting[0].arrived_s)
            waiting.pop(0)
            continue
        now_s = engine.wake_s
        finished, refused = engine.advance(now_s)
        ends += [(each.number, now_s, True) for each in finished]
        ends += [(each.number, now_s, False) for each in refused]
    return sorted(ends)


def step_by_step(arrivals, known):
    waiting = [job(number, *each) for number, each in enumerate(arrivals)]
    present, ends, now_s, last = [], [], 0.0, None
    while waiting or present:
        if not present:
            now_s = max(now_s, waiting[0].arrived_s)
        while waiting and waiting[0].arrived_s <= now_s + 1e-9:
            present.append(waiting.pop(0))
        decided = plan([each.standing() for each in present], known, now_s, RULES, last)
        ends += [(refusal.number, now_s, False) for refusal in decided.refused]
        present = [each for each in present if each.number not in {r.number for r in decided.refused}]
        if decided.batch is None:
            continue
        last = decided.batch.shape
        now_s += known.step_s(decided.batch.shape, len(decided.batch.numbers))
        for each in present:
            each.steps_left -= each.number in decided.batch.numbers
            each.steps_done += each.number in decided.batch.numbers
        ends += [(each.number, now_s, True) for each in present if each.steps_left == 0]
        present = [each for each in present if each.steps_left]
    return sorted(ends)


def job(number, at_s, shape, steps, budget_s):
    return Job(number, shape, steps, at_s, None if budget_s is None else at_s + budget_s, None)


arrivals = st.lists(
    st.tuples(
        st.floats(0, 3).map(lambda value: round(value, 3) + 0.00037),
        st.sampled_from([SMALL, SMALL, LARGE]),
        st.integers(1, 25),
        st.none() | st.floats(0.05, 4),
    ),
    min_size=1,
    max_size=12,
).map(lambda each: sorted(each, key=lambda one: one[0]))


@settings(max_examples=150, deadline=None)
@given(arrivals, st.integers(1, 5))
def test_jumping_gives_what_stepping_gives(each, max_batch):
    fast, slow = jump(each, costs(max_batch)), step_by_step(each, costs(max_batch))
    assert [(number, done) for number, _, done in fast] == [(number, done) for number, _, done in slow]
    assert [at_s for _, at_s, _ in fast] == pytest.approx([at_s for _, at_s, _ in slow], abs=1e-6)


def test_a_lone_job_takes_its_steps():
    ((_, at_s, done),) = jump([(1.0, SMALL, 10, None)], costs())
    assert done
    assert at_s == pytest.approx(1.0 + 10 * (0.013 + 0.04 * 0.262144))


def test_a_job_that_cannot_be_in_time_is_refused_when_that_is_known():
    hopeless = jump([(0.0, SMALL, 100, 0.5)], costs())
    assert hopeless == [(0, 0.0, False)]


def test_work_is_what_a_lone_job_takes_and_less_for_each_in_company():
    engine = StepEngine(costs(max_batch=4), RULES)
    engine.add(job(0, 0.0, SMALL, 10, None), 0.0)
    lone_s = 10 * (0.013 + 0.04 * 0.262144)
    assert engine.work_s(0.0) == pytest.approx(lone_s)
    engine.add(job(1, 0.0, SMALL, 10, None), 0.0)
    assert lone_s < engine.work_s(0.0) < 2 * lone_s


def test_work_shrinks_with_every_step_that_is_done():
    engine = StepEngine(costs(max_batch=4), RULES)
    step_s = 0.013 + 0.04 * 0.262144
    engine.add(job(0, 0.0, SMALL, 10, None), 0.0)
    engine.advance(0.0)
    left = [engine.work_s((steps + 0.5) * step_s) / step_s for steps in (0, 1, 9)]
    assert left == pytest.approx([10, 9, 1])
    engine.advance(10 * step_s)
    assert engine.work_s(10 * step_s) == 0


def test_backlog_is_none_while_the_batch_has_room():
    engine = StepEngine(costs(max_batch=2), RULES)
    assert engine.backlog_s(0.0) == 0
    engine.add(job(0, 0.0, SMALL, 10, None), 0.0)
    engine.advance(0.0)
    assert engine.backlog_s(0.0) == 0
    engine.add(job(1, 0.0, SMALL, 10, None), 0.0)
    assert engine.backlog_s(0.0) == pytest.approx(10 * (0.013 + 0.04 * 0.262144 * 2))

from hypothesis import given
from hypothesis import strategies as st

from routing.budget import Deadline
from routing.types import Capability, PlannedStage


def stages(*times_ms: float) -> list[PlannedStage]:
    return [PlannedStage("m", Capability.GENERATE, 8, 8, None, each) for each in times_ms]


def test_what_remains():
    deadline = Deadline.after(300, now_s=10.0)
    assert deadline.remaining_ms(10.1) is not None
    assert round(deadline.remaining_ms(10.1) or 0) == 200
    assert deadline.remaining_ms(11.0) == 0.0
    assert deadline.passed(10.3)
    assert not deadline.passed(10.2)


def test_no_budget_never_passes():
    unlimited = Deadline.after(None, now_s=10.0)
    assert unlimited.remaining_ms(1e9) is None
    assert not unlimited.passed(1e9)
    assert unlimited.split(stages(1, 2)) == (unlimited, unlimited)
    assert unlimited.reserving(100, at_least_ms=5, now_s=0.0) == unlimited


def test_each_stage_leaves_the_later_ones_their_time():
    first, second = Deadline(10.0).split(stages(100, 400), reserve_ms=100)
    assert round(first.at_s or 0, 6) == 9.5
    assert round(second.at_s or 0, 6) == 9.9


def test_the_sooner_of_two():
    assert Deadline(1.0).sooner(Deadline(2.0)) == Deadline(1.0)
    assert Deadline(None).sooner(Deadline(2.0)) == Deadline(2.0)
    assert Deadline(2.0).sooner(Deadline(None)) == Deadline(2.0)


@given(st.floats(0, 1e4), st.floats(0, 1e4), st.floats(0, 1e4), st.floats(0, 10))
def test_a_reserve_leaves_at_least_the_predicted_time_and_never_moves_the_deadline_back(
    budget, reserve, least, now
):
    deadline = Deadline.after(budget, now_s=0.0)
    earlier = deadline.reserving(reserve, at_least_ms=least, now_s=now)
    assert earlier.at_s is not None
    assert earlier.at_s <= (deadline.at_s or 0)
    assert earlier.at_s >= min(deadline.at_s or 0, now + least / 1000)


@given(st.lists(st.floats(0, 1e4), min_size=1, max_size=6), st.floats(0, 1e4))
def test_stage_deadlines_are_in_order_and_within_the_whole(times_ms, reserve_ms):
    deadlines = [each.at_s or 0.0 for each in Deadline(100.0).split(stages(*times_ms), reserve_ms)]
    assert deadlines == sorted(deadlines)
    assert deadlines[-1] <= 100.0

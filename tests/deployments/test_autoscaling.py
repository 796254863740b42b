from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.autoscaling import (
    REQUEST_METRIC,
    WORK_METRIC,
    Load,
    WorkAutoscalingPolicy,
    WorkScaling,
    wanted_replicas,
)


def follow(loads, scaling, step_s=1.0):
    memory, path = None, []
    for index, work_s in enumerate(loads):
        wanted, memory = wanted_replicas(Load(work_s, index * step_s), memory, scaling)
        path.append(wanted)
    return path


def test_a_steady_load_wants_what_holds_it():
    assert set(follow([20.0] * 30, WorkScaling(target_work_s=5))) == {4}


def test_a_growing_load_is_met_before_it_comes():
    ramp = [float(second) for second in range(60)]
    at_once = follow(ramp, WorkScaling(target_work_s=5, smoothing_s=10))
    ahead = follow(ramp, WorkScaling(target_work_s=5, smoothing_s=10, lead_s=20))
    assert at_once[-1] == 12
    # By the time a replica has started, the load will be 20 s of work higher.
    assert ahead[-1] == pytest.approx(16, abs=1)


def test_a_falling_load_is_not_run_ahead_of():
    falling = [float(60 - second) for second in range(60)]
    scaling = WorkScaling(target_work_s=5, smoothing_s=10, lead_s=20)
    assert follow(falling, scaling)[-1] >= 1


def test_spares_stay_warm_while_there_was_work_and_leave_after():
    scaling = WorkScaling(target_work_s=5, warm_spares=2, spare_idle_s=10)
    path = follow([5.0] * 3 + [0.0] * 20, scaling)
    assert path[:3] == [3, 3, 3]
    assert path[4:12] == [2] * 8
    assert path[-1] == 0


def test_nothing_ever_wants_nothing():
    assert set(follow([0.0] * 20, WorkScaling(warm_spares=3))) == {0}


@given(st.lists(st.floats(0, 1e4), min_size=1, max_size=50), st.floats(0, 60), st.integers(0, 3))
def test_it_never_wants_less_than_the_load_needs(loads, lead_s, spares):
    scaling = WorkScaling(target_work_s=7, lead_s=lead_s, warm_spares=spares)
    for wanted, work_s in zip(follow(loads, scaling), loads, strict=True):
        assert wanted * 7 >= work_s - 1e-6


def context(state=None, now_s=0.0, metrics=None, total=0.0, queued=0.0):
    return SimpleNamespace(
        policy_state=state or {},
        current_time=now_s,
        aggregated_metrics=metrics or {},
        total_num_requests=total,
        total_queued_requests=queued,
    )


def test_work_at_replicas_and_in_handles_counts():
    policy = WorkAutoscalingPolicy(target_work_s=5)
    metrics = {WORK_METRIC: {"a": 6.0, "b": 4.0}, REQUEST_METRIC: {"a": 1.0, "b": 3.0}}
    wanted, state = policy(context(metrics=metrics, total=9, queued=5))
    assert wanted == 4
    again, _ = policy(context(state=state, now_s=1.0, metrics=metrics, total=9, queued=5))
    assert again == 4


def test_without_reports_requests_count_at_what_one_is_taken_to_cost():
    wanted, _ = WorkAutoscalingPolicy(target_work_s=5, request_work_s=2.0)(context(total=10))
    assert wanted == 4


@pytest.mark.parametrize(
    "wrong",
    [{"target_work_s": 0}, {"smoothing_s": 0}, {"lead_s": -1}, {"request_work_s": 0}, {"warm_spares": -1}],
)
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        WorkAutoscalingPolicy(**wrong)

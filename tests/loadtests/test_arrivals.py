import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from loadtests.arrivals import (
    Segment,
    Spacing,
    constant,
    duration_s,
    expected_arrivals,
    on_off,
    ramp,
    replay,
    schedule,
    spike,
)

segments = st.lists(
    st.builds(
        Segment,
        duration_s=st.floats(0.1, 100),
        start_rps=st.floats(0, 20),
        end_rps=st.floats(0, 20),
    ),
    min_size=1,
    max_size=5,
)


@given(segments, st.sampled_from(Spacing), st.integers(0, 2**32))
def test_times_ascend_inside_the_profile_and_depend_on_the_seed_alone(profile, spacing, seed):
    times = schedule(profile, spacing, seed)
    assert (np.diff(times) >= 0).all()
    assert ((times >= 0) & (times <= duration_s(profile) + 1e-6)).all()
    assert (times == schedule(profile, spacing, seed)).all()


@given(segments)
def test_even_arrivals_are_as_many_as_expected(profile):
    assert abs(len(schedule(profile, Spacing.EVEN)) - expected_arrivals(profile)) <= 1


def test_even_arrivals_at_a_constant_rate_are_equally_far_apart():
    assert np.allclose(schedule(constant(4, 2), Spacing.EVEN), np.arange(8) * 0.25 + 0.125)


def test_poisson_gaps_are_exponential():
    times = schedule(constant(50, 100), seed=7)
    assert stats.kstest(np.diff(times), "expon", args=(0, 1 / 50)).pvalue > 0.01


def test_ramped_arrivals_follow_the_rate():
    times = schedule(ramp(0, 20, 500), seed=3)
    # Cumulative rate of a ramp from 0 is quadratic, so its root is uniform.
    assert stats.kstest(times, lambda t: (t / 500) ** 2).pvalue > 0.01


def test_a_spike_has_its_arrivals_in_the_middle():
    times = schedule(spike(1, 100, before_s=10, peak_s=10, after_s=10), Spacing.EVEN)
    assert np.histogram(times, [0, 10, 20, 30])[0].tolist() == [10, 1000, 10]


def test_bursts_are_cut_at_the_end():
    profile = on_off(10, 0, on_s=2, off_s=3, duration_s=11)
    assert duration_s(profile) == 11
    assert [segment.start_rps for segment in profile] == [10, 0, 10, 0, 10]
    times = schedule(profile, Spacing.EVEN)
    assert len(times) == 50
    assert not ((times > 2.01) & (times < 4.99)).any()


def test_nothing_arrives_at_rate_zero():
    assert len(schedule(constant(0, 10))) == 0


def test_replay_moves_and_stretches():
    assert replay([30, 10, 20, 40], time_scale=0.5, start_s=20).tolist() == [0, 5, 10]
    with pytest.raises(ValueError, match="time_scale"):
        replay([1], time_scale=0)


@pytest.mark.parametrize("bad", [(0, 1, 1), (1, -1, 1), (1, 1, -2)])
def test_impossible_segments_are_refused(bad):
    with pytest.raises(ValueError, match=r"segment|rate"):
        Segment(*bad)

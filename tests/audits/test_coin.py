import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from audits.coin import at_least, paired_difference

COUNTS = st.integers(0, 30)


@settings(deadline=None)
@given(COUNTS, COUNTS, st.floats(0.01, 0.99))
def test_a_coin_is_that_of_the_exact_test(more, less, ratio):
    if more + less:
        expected = binomtest(more, more + less, ratio, alternative="greater").pvalue
        assert at_least(more, more + less, ratio) == pytest.approx(expected)


@settings(deadline=None)
@given(COUNTS, COUNTS, st.integers(0, 30), st.sampled_from([0.05, 0.01, 0.05 / 6]))
def test_the_interval_leaves_out_nothing_exactly_when_the_sign_test_does(more, less, alike, alpha):
    interval = paired_difference(more, less, more + less + alike, alpha)
    if more + less == 0:
        assert interval.low <= 0 <= interval.high
        return
    scale = (more + less) / (more + less + alike)
    expected = binomtest(more, more + less).proportion_ci(1 - alpha, "exact")
    assert interval.low == pytest.approx(scale * (2 * expected.low - 1), abs=1e-9)
    assert interval.high == pytest.approx(scale * (2 * expected.high - 1), abs=1e-9)
    shown = min(at_least(more, more + less), at_least(less, more + less)) <= alpha / 2
    assert (interval.low > 1e-12 or interval.high < -1e-12) == shown or abs(
        min(at_least(more, more + less), at_least(less, more + less)) - alpha / 2
    ) < 1e-9


def test_the_interval_holds_the_true_difference_at_least_as_often_as_promised():
    """60 pairs of which 30% differ, two thirds of them in favour of the first: a difference of 0.1."""
    chance, held, trials = random.Random(3), 0, 1000
    for _ in range(trials):
        drawn = [chance.random() for _ in range(60)]
        interval = paired_difference(
            sum(d < 0.2 for d in drawn), sum(0.2 <= d < 0.3 for d in drawn), 60, 0.05
        )
        held += interval.low <= 0.1 <= interval.high
    assert held / trials >= 0.94

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from audits.coin import at_least

COUNTS = st.integers(0, 30)


@settings(deadline=None)
@given(COUNTS, COUNTS, st.floats(0.01, 0.99))
def test_a_coin_is_that_of_the_exact_test(more, less, ratio):
    if more + less:
        expected = binomtest(more, more + less, ratio, alternative="greater").pvalue
        assert at_least(more, more + less, ratio) == pytest.approx(expected)

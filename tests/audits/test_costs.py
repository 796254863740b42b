import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audits.costs import AssetCost, break_even_usd_per_hour
from routing.feedback import Interval


def cost(image_usd: float, fix_ratio: float, minutes: float = 6.0) -> AssetCost:
    return AssetCost(image_usd, fix_ratio, Interval(0.0, min(1.0, fix_ratio * 2)), minutes)


def test_an_asset_costs_its_picture_and_the_fixes_it_needs():
    each = cost(0.02, 0.25)
    assert each.usd(0) == 0.02
    assert each.usd(40) == pytest.approx(0.02 + 0.25 * 0.1 * 40)
    assert each.interval_usd(40) == Interval(0.02, pytest.approx(0.02 + 0.5 * 0.1 * 40))


def test_the_dearer_machine_pays_from_a_staff_rate_on():
    careful, quick = cost(0.05, 0.1), cost(0.01, 0.5)
    assert break_even_usd_per_hour(careful, quick) == pytest.approx(1.0)
    assert break_even_usd_per_hour(quick, careful) == pytest.approx(1.0)


def test_what_is_cheaper_at_every_rate_has_no_break_even():
    assert break_even_usd_per_hour(cost(0.01, 0.1), cost(0.05, 0.5)) is None
    assert break_even_usd_per_hour(cost(0.01, 0.1), cost(0.01, 0.1)) is None


RATIO = st.integers(0, 100).map(lambda percent: percent / 100)
USD = st.integers(0, 1000).map(lambda cents: cents / 100)


@settings(deadline=None)
@given(USD, RATIO, USD, RATIO)
def test_at_the_break_even_both_cost_the_same(usd, ratio, other_usd, other_ratio):
    one, other = cost(usd, ratio), cost(other_usd, other_ratio)
    rate = break_even_usd_per_hour(one, other)
    if rate is not None:
        assert rate > 0
        assert one.usd(rate) == pytest.approx(other.usd(rate))

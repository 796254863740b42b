import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audits.fixes import Picture, Word, agreement, calibrated, measured, predicted
from routing.feedback import wilson

ACCEPT = Word(False)


def fix(minutes: float = 5.0) -> Word:
    return Word(True, minutes)


def test_thresholds_predict_and_people_measure():
    pictures = [
        Picture(True, (fix(10),)),
        Picture(True, (ACCEPT,)),
        Picture(False, (ACCEPT,)),
        Picture(False, (fix(2), ACCEPT, ACCEPT)),
        Picture(True),
    ]
    assert predicted(pictures).ratio == 3 / 5
    rate = measured(pictures)
    assert (rate.ratio, rate.count, rate.minutes) == (1 / 4, 4, 6)
    assert rate.interval == wilson(1, 4)


def test_half_of_the_people_are_enough_for_a_fix():
    assert Picture(False, (fix(), ACCEPT)).needs_fix
    assert not Picture(False, (fix(), ACCEPT, ACCEPT)).needs_fix
    assert not Picture(True).needs_fix


def test_agreement_on_a_known_table():
    """Cohen's own measure on 20, 5, 10, 15: agreement 0.7, by chance 0.5, kappa 0.4."""
    pictures = (
        [Picture(True, (fix(),))] * 20
        + [Picture(True, (ACCEPT,))] * 5
        + [Picture(False, (fix(),))] * 10
        + [Picture(False, (ACCEPT,))] * 15
    )
    found = agreement(pictures)
    assert found.ratio == pytest.approx(0.7)
    assert found.kappa == pytest.approx(0.4)
    assert found.fix_if_failed.ratio == 20 / 25
    assert found.fix_if_passed.ratio == 10 / 25


def test_a_calibrated_rate_weighs_what_people_said_of_either_kind():
    known = agreement(
        [Picture(True, (fix(10),))] * 8
        + [Picture(True, (ACCEPT,))] * 2
        + [Picture(False, (fix(1),))] * 1
        + [Picture(False, (ACCEPT,))] * 9
    )
    rate = calibrated([Picture(True)] * 5 + [Picture(False)] * 15, known)
    assert rate.ratio == pytest.approx(0.25 * 0.8 + 0.75 * 0.1)
    assert rate.minutes == pytest.approx((0.2 * 10 + 0.075 * 1) / 0.275)
    assert rate.interval.low < rate.ratio < rate.interval.high


def test_nobody_asked_means_nothing_known():
    found = agreement([Picture(True), Picture(False)])
    assert (found.count, found.ratio, found.kappa) == (0, None, None)
    assert calibrated([Picture(True)], found).interval.high == 1.0
    assert measured([]).minutes is None


PICTURES = st.builds(
    Picture,
    st.booleans(),
    st.lists(st.builds(lambda fix, minutes: Word(fix, minutes * fix), st.booleans(), st.floats(0.1, 60))).map(
        tuple
    ),
)


@settings(deadline=None)
@given(st.lists(PICTURES, min_size=1))
def test_where_everything_is_judged_the_calibrated_rate_is_the_measured_one(pictures):
    judged = [each for each in pictures if each.words]
    if judged:
        found = calibrated(judged, agreement(judged))
        assert found.ratio == pytest.approx(measured(judged).ratio)
        assert found.interval.low <= found.ratio + 1e-9
        assert found.ratio <= found.interval.high + 1e-9

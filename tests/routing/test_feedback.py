import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.feedback import Feedback, FeedbackBook, Verdict, newcombe, wilson


def given_by(
    receipt: str, verdict: Verdict = Verdict.ACCEPTED, arm: str | None = None, minutes: float = 0.0
) -> Feedback:
    return Feedback(receipt, "posters", verdict, minutes, "e" if arm else None, arm)


def test_the_fix_rate_is_counted_per_route_and_arm():
    book = FeedbackBook()
    book.add(given_by("1", arm="a"))
    book.add(given_by("2", Verdict.FIXED, "a", minutes=6))
    book.add(given_by("3", Verdict.FIXED, "b", minutes=2))
    first, second = book.rates()
    assert (first.arm, first.count, first.fixed, first.ratio, first.minutes_mean) == ("a", 2, 1, 0.5, 6)
    assert (second.arm, second.ratio) == ("b", 1.0)


def test_a_receipt_counts_once_and_people_may_change_their_mind():
    book = FeedbackBook()
    book.add(given_by("1", Verdict.FIXED, minutes=6))
    book.add(given_by("1"))
    (rate,) = book.rates()
    assert (rate.count, rate.fixed, rate.minutes_mean) == (1, 0, 0.0)


def test_memory_is_bounded_and_counts_stay():
    book = FeedbackBook(receipts_kept=10)
    for index in range(100):
        book.add(given_by(str(index)))
    assert len(book._seen) == 10
    assert book.rates()[0].count == 100


@pytest.mark.parametrize("minutes", [-1.0, math.inf, math.nan])
def test_a_time_must_be_a_time(minutes):
    with pytest.raises(ValueError, match="minutes"):
        FeedbackBook().add(given_by("1", Verdict.FIXED, minutes=minutes))


def test_wilson_agrees_with_the_published_example():
    """Newcombe 1998, table I: 81 of 263 gives 0.2553 to 0.3662."""
    interval = wilson(81, 263)
    assert interval.low == pytest.approx(0.2553, abs=5e-5)
    assert interval.high == pytest.approx(0.3662, abs=5e-5)


def test_newcombe_agrees_with_the_published_example():
    """Newcombe 1998 (part II), table II, method 10: 56/70 - 48/80 gives 0.0524 to 0.3339."""
    interval = newcombe(56, 70, 48, 80)
    assert interval.low == pytest.approx(0.0524, abs=5e-5)
    assert interval.high == pytest.approx(0.3339, abs=5e-5)


def test_arms_are_compared_with_their_baseline():
    book = FeedbackBook()
    for index in range(200):
        book.add(given_by(f"a{index}", Verdict.FIXED if index < 100 else Verdict.ACCEPTED, "old"))
        book.add(given_by(f"b{index}", Verdict.FIXED if index < 20 else Verdict.ACCEPTED, "new"))
    (comparison,) = book.comparisons("e")
    assert (comparison.arm, comparison.baseline) == ("new", "old")
    assert comparison.difference == pytest.approx(-0.4)
    assert comparison.decided
    assert book.comparisons("e", baseline="new")[0].difference == pytest.approx(0.4)
    assert book.comparisons("other") == ()


@given(st.integers(0, 500), st.integers(1, 500))
def test_an_interval_holds_its_rate_and_stays_a_probability(successes, count):
    successes = min(successes, count)
    interval = wilson(successes, count)
    assert 0 <= interval.low <= successes / count <= interval.high <= 1

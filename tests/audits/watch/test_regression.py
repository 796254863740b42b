import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from audits.watch.regression import LATENCY, Scores, compare

KEY = ("ui-badge", "typesetter", "legible")


def scores(passes: list[bool] | list[float], key: tuple[str, str, str] = KEY) -> Scores:
    return {key: {f"picture {number}": each for number, each in enumerate(passes)}}


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40))
def test_the_p_value_is_that_of_the_exact_test(pairs):
    (change,) = compare(scores([b for b, _ in pairs]), scores([a for _, a in pairs])).changes
    worse = sum(b and not a for b, a in pairs)
    better = sum(a and not b for b, a in pairs)
    assert (change.worse, change.better, change.count) == (worse, better, len(pairs))
    expected = binomtest(worse, worse + better, alternative="greater").pvalue if worse + better else 1.0
    assert change.p_value == pytest.approx(expected)


def test_a_model_that_lost_its_text_has_regressed():
    found = compare(scores([True] * 12), scores([False] * 12))
    assert [(each.criterion, each.before, each.after) for each in found.regressions] == [
        ("legible", 1.0, 0.0)
    ]


def test_one_picture_that_changed_is_chance():
    assert compare(scores([True] * 12), scores([True] * 11 + [False])).regressions == ()


def test_better_is_no_regression():
    assert compare(scores([False] * 12), scores([True] * 12)).regressions == ()


def test_criteria_that_stay_cost_no_power():
    """Five that turned of five tested alone are shown; the same beside a hundred that did not move."""
    still = {("icon", f"variant {n}", "edges"): {"a": True, "b": True} for n in range(100)}
    before, after = {**still, **scores([True] * 5)}, {**still, **scores([False] * 5)}
    assert len(compare(before, after).regressions) == 1


def test_slower_by_more_than_the_tolerance():
    key = ("ui-badge", "typesetter", LATENCY)
    before = scores([100.0 + n for n in range(20)], key)
    little = scores([105.0 + n for n in range(20)], key)
    much = scores([130.0 + n for n in range(20)], key)
    assert compare(before, little).regressions == ()
    (found,) = compare(before, much).regressions
    assert (found.before, found.after) == (109.5, 139.5)


def test_what_was_not_measured_again_is_named():
    assert compare(scores([True]), {}).missing == (KEY,)


def test_equal_runs_alarm_at_most_as_often_as_promised():
    """Of 400 pairs of runs of a model that passes 70% whatever happens, with 12 criteria each."""
    chance = random.Random(11)
    alarms = 0
    for _ in range(400):
        before, after = (
            {("a", "v", f"c{n}"): {str(p): chance.random() < 0.7 for p in range(30)} for n in range(12)}
            for _ in range(2)
        )
        alarms += bool(compare(before, after).regressions)
    assert alarms <= 400 * 0.05 + 9  # two standard deviations above 5%

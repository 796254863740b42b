"""Intervals are held to what they say: in 95 of 100 audits the truth lies inside."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audits import statistics
from audits.statistics import best, compare, holm, mean, prompts_needed, rate

AUDITS = 1000


def _clusters(values: np.ndarray) -> dict[str, list[float]]:
    return {str(prompt): row.tolist() for prompt, row in enumerate(values)}


def _covered(intervals: list[statistics.Estimate], truth: float) -> float:
    inside = [each.interval.low <= truth <= each.interval.high for each in intervals if each.interval]
    assert len(inside) == len(intervals)
    return sum(inside) / len(inside)


@pytest.mark.parametrize(("prompts", "pictures"), [(8, 3), (20, 2)])
@pytest.mark.parametrize("shape", ["normal", "skewed"])
def test_means_cover_the_truth(shape: str, prompts: int, pictures: int) -> None:
    """Prompts differ, and the pictures of each around it."""
    chance = np.random.default_rng(1)
    found = []
    for audit in range(AUDITS):
        if shape == "normal":
            values = 5 + chance.normal(0, 1, (prompts, 1)) + chance.normal(0, 0.5, (prompts, pictures))
        else:
            values = chance.gamma(2, 2, (prompts, 1)) + chance.exponential(1, (prompts, pictures))
        found.append(mean(_clusters(values), seed=audit))
    assert 0.93 <= _covered(found, 5) <= 0.97


@pytest.mark.parametrize("truth", [0.5, 0.8, 0.9])
@pytest.mark.parametrize(("prompts", "pictures"), [(12, 4), (20, 3), (40, 3)])
def test_rates_cover_the_truth(truth: float, prompts: int, pictures: int) -> None:
    assert 0.93 <= _covered(_rates(truth, prompts, pictures), truth) <= 0.97


@pytest.mark.parametrize("truth", [0.5, 0.8, 0.97])
def test_of_few_prompts_a_rate_covers_the_truth_at_least_as_often(truth: float) -> None:
    assert _covered(_rates(truth, 6, 3), truth) >= 0.93


def _rates(truth: float, prompts: int, pictures: int) -> list[statistics.Estimate]:
    """Pictures of a prompt agree with a correlation of 0.2: beta-binomial."""
    chance = np.random.default_rng(2)
    shares = chance.beta(truth * 4, (1 - truth) * 4, (AUDITS, prompts, 1))
    passed = chance.random((AUDITS, prompts, pictures)) < shares
    return [rate(_clusters(each.astype(float))) for each in passed]


def test_pictures_of_one_prompt_are_not_many_prompts() -> None:
    copies = {str(prompt): [float(prompt % 2)] * 50 for prompt in range(8)}
    singles = {str(prompt): [float(prompt % 2)] for prompt in range(8)}
    assert rate(copies).interval == rate(singles).interval
    assert mean(copies).interval == mean(singles).interval


def test_nothing_but_passes_is_not_certainty() -> None:
    found = rate({str(prompt): [1.0, 1.0] for prompt in range(10)})
    assert found.value == 1
    assert found.interval is not None
    assert 0.6 < found.interval.low < 0.8


def test_of_one_prompt_no_interval_is_claimed() -> None:
    assert mean({"only": [1.0, 2.0]}) == statistics.Estimate(1.5, None, 1)
    assert rate({"only": [1.0, 0.0]}) == statistics.Estimate(0.5, None, 1)
    with pytest.raises(ValueError, match="nothing was measured"):
        mean({})


def test_pairs_see_what_the_spread_of_prompts_hides() -> None:
    chance = np.random.default_rng(3)
    prompts = chance.normal(0, 10, (12, 2))
    better = prompts + 1 + chance.normal(0, 0.3, (12, 2))
    found = compare(_clusters(better), _clusters(prompts))
    assert found.p_value < 0.01
    assert found.interval is not None
    assert found.interval.low > 0.5


def test_the_p_value_of_signs_that_all_agree_is_exact() -> None:
    ones, zeros = _clusters(np.ones((6, 1))), _clusters(np.zeros((6, 1)))
    assert compare(ones, zeros).p_value == 2 / 2**6
    assert compare(ones, ones).p_value == 1


@pytest.mark.parametrize("candidates", [2, 4])
def test_where_there_is_no_winner_one_is_declared_in_at_most_5_of_100(candidates: int) -> None:
    chance = np.random.default_rng(4)
    declared = 0
    for _ in range(400):
        values = chance.normal(0, 1, (candidates, 10, 2)) + chance.normal(0, 1, (1, 10, 1))
        declared += best({str(n): _clusters(each) for n, each in enumerate(values)}).winner is not None
    assert declared <= 0.05 * 400 + 2 * math.sqrt(400 * 0.05 * 0.95)


def test_a_clear_winner_is_named_and_a_tie_at_the_top_is_not() -> None:
    chance = np.random.default_rng(5)
    low, middle, high = (level + chance.normal(0, 0.3, (12, 2)) for level in (0, 1, 2))
    assert best({"low": _clusters(low), "high": _clusters(high), "mid": _clusters(middle)}).winner == "high"
    assert best({"low": _clusters(low), "high": _clusters(high), "twin": _clusters(high)}).winner is None
    assert best({"alone": _clusters(low)}).winner is None


def test_holm_as_published() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_never_makes_a_p_value_smaller_and_keeps_their_order(values: list[float]) -> None:
    corrected = holm(values)
    assert all(before <= after <= 1 for before, after in zip(values, corrected, strict=True))
    order = sorted(range(len(values)), key=lambda index: values[index])
    assert [corrected[index] for index in order] == sorted(corrected)


def test_prompts_needed_is_the_paired_t_tests() -> None:
    # Cohen's d of 0.5, two-sided 5%, power 80%: 34 pairs; d of 1: 10; d of 0.2: 199.
    assert [prompts_needed(1, each) for each in (1.0, 0.5, 0.2)] == [10, 34, 199]
    assert prompts_needed(1, 0.5, pairs=6) > prompts_needed(1, 0.5)
    with pytest.raises(ValueError, match="difference of 0"):
        prompts_needed(1, 0)


def test_so_many_prompts_show_the_difference_as_often_as_promised() -> None:
    chance = np.random.default_rng(6)
    count = prompts_needed(1, 0.8)
    shown = [
        compare(_clusters(0.8 + chance.normal(0, 1, (count, 1))), _clusters(np.zeros((count, 1)))).p_value
        for _ in range(200)
    ]
    assert 0.7 < np.mean(np.array(shown) <= 0.05) < 0.92

"""How sure an audit can be: intervals and paired comparisons over prompts, and how many prompts it takes.

Pictures of one prompt are alike, so prompts are what is drawn at random: every method here first takes the
mean of each prompt's pictures. Many prompts of two pictures say more than two prompts of many.

- Means: the bootstrap-t over prompts (Efron and Tibshirani 1993, chapter 12), which is wider than the
  normal interval for few prompts and leans as far as they do.
- Rates: Wilson's interval (1927) at the effective number of pictures, which the design effect of the
  prompts (Kish 1965) makes smaller than the number of pictures. A bootstrap of nothing but passes would
  have no width.
- Many candidates: Holm's correction (1979). A winner is named only when it is shown to be better than each
  of the others.

Higher values are better throughout. Knows neither files nor pictures.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from routing.feedback import Interval

RESAMPLES = 2000

Clusters = Mapping[str, Sequence[float]]
"""Values by prompt."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """`interval` is None where one prompt leaves it unknown."""

    value: float
    interval: Interval | None
    prompts: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """Mean over prompts of `one` minus `other`. `p_value` is two-sided, before any correction."""

    one: str
    other: str
    difference: float
    interval: Interval | None
    p_value: float
    prompts: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """`winner` None: nobody is shown to be better than all others. `comparisons` are of every pair, with
    p-values after Holm's correction."""

    winner: str | None
    comparisons: tuple[Comparison, ...]


def mean(clusters: Clusters, confidence: float = 0.95, seed: int = 0) -> Estimate:
    """The mean over prompts of their means, with its bootstrap-t interval. Raises ValueError without any."""
    values = _means(clusters)
    if len(values) < 2:
        return Estimate(float(values.mean()), None, len(values))
    spread = _standard_error(values)
    centre = float(values.mean())
    if spread == 0:
        return Estimate(centre, Interval(centre, centre), len(values))
    low, high = np.quantile(_pivots(values, seed), [(1 - confidence) / 2, (1 + confidence) / 2])
    return Estimate(centre, Interval(centre - high * spread, centre - low * spread), len(values))


def rate(clusters: Clusters, confidence: float = 0.95) -> Estimate:
    """The share of pictures that pass (values 1 and 0). Raises ValueError without any."""
    values = _means(clusters)
    sizes = np.array([len(each) for each in clusters.values() if len(each)], np.float64)
    count, prompts = float(sizes.sum()), len(values)
    share = float((values * sizes).sum() / count)
    if prompts < 2:
        return Estimate(share, None, prompts)
    effective = _effective_count(values, sizes, share)
    quantile = NormalDist().inv_cdf((1 + confidence) / 2)
    return Estimate(share, _wilson(share, effective, quantile), prompts)


def compare(
    one: Clusters, other: Clusters, names: tuple[str, str] = ("one", "other"), confidence: float = 0.95
) -> Comparison:
    """Over the prompts that both have, each pair of pictures at the same place of its prompt: the same seed.

    The interval is the bootstrap-t's; the p-value is that of a test of signs flipped at random (Fisher
    1935), exact for up to 15 prompts, which needs no assumption but that of no difference.
    """
    differences = {
        prompt: [a - b for a, b in zip(one[prompt], other[prompt], strict=True)]
        for prompt in one
        if prompt in other
    }
    values = _means(differences)
    estimate = mean(differences, confidence)
    return Comparison(*names, estimate.value, estimate.interval, _flipped_signs(values), len(values))


def best(candidates: Mapping[str, Clusters], alpha: float = 0.05) -> Verdict:
    """Who is shown to be better than every other. Of all pairs together, the chance of any that is called
    different and is not is at most `alpha`."""
    names = list(candidates)
    pairs = [
        compare(candidates[one], candidates[other], (one, other))
        for index, one in enumerate(names)
        for other in names[index + 1 :]
    ]
    corrected = holm([each.p_value for each in pairs])
    judged = tuple(
        Comparison(each.one, each.other, each.difference, each.interval, chance, each.prompts)
        for each, chance in zip(pairs, corrected, strict=True)
    )
    won = dict.fromkeys(names, 0)
    for each in judged:
        if each.p_value <= alpha:
            won[each.one if each.difference > 0 else each.other] += 1
    winners = [name for name, count in won.items() if names[1:] and count == len(names) - 1]
    return Verdict(winners[0] if winners else None, judged)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction, in the order given."""
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def prompts_needed(
    deviation: float, difference: float, *, alpha: float = 0.05, power: float = 0.8, pairs: int = 1
) -> int:
    """How many prompts show `difference` with the given power, where the differences of prompts deviate by
    `deviation`: the paired t-test's, by Bonferroni for `pairs` of candidates. Raises ValueError for a
    difference of 0."""
    if difference == 0:
        raise ValueError("no number of prompts shows a difference of 0")
    needed = 2.0
    for _ in range(100):
        freedom = max(1, math.ceil(needed) - 1)
        quantiles = _student(1 - alpha / pairs / 2, freedom) + _student(power, freedom)
        following = max(2.0, (quantiles * deviation / difference) ** 2)
        if math.ceil(following) == math.ceil(needed):
            break
        # Half way: with few degrees of freedom a whole step would swing from side to side.
        needed = (needed + following) / 2
    return math.ceil(needed)


def _means(clusters: Clusters) -> NDArray[np.float64]:
    values = [float(np.mean(each)) for each in clusters.values() if len(each)]
    if not values:
        raise ValueError("nothing was measured")
    return np.array(values)


def _standard_error(values: NDArray[np.float64]) -> float:
    return float(values.std(ddof=1) / math.sqrt(len(values)))


def _pivots(values: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """Of each resample: how many of its own standard errors its mean is away. One of equal values has none,
    and is as far away as can be."""
    count = len(values)
    drawn = values[np.random.default_rng(seed).integers(0, count, (RESAMPLES, count))]
    away = drawn.mean(axis=1) - values.mean()
    spread = drawn.std(axis=1, ddof=1) / math.sqrt(count)
    with np.errstate(divide="ignore", invalid="ignore"):
        pivots = np.where(spread > 0, away / spread, np.copysign(np.inf, away))
    limit = _student(0.9999, count - 1)
    return np.asarray(np.clip(pivots, -limit, limit), np.float64)


def _effective_count(values: NDArray[np.float64], sizes: NDArray[np.float64], share: float) -> float:
    """The number of independent pictures that would know the share as well. Where nothing varies, prompts
    are taken for copies of one picture each: the cautious end."""
    count, prompts = float(sizes.sum()), len(values)
    if share in (0.0, 1.0):
        return float(prompts)
    residuals = sizes * (values - share)
    variance = prompts / (prompts - 1) * float((residuals**2).sum()) / count**2
    if variance == 0:
        return count
    return float(min(count, max(1.0, share * (1 - share) / variance)))


def _wilson(share: float, count: float, quantile: float) -> Interval:
    square = quantile * quantile
    centre = share + square / (2 * count)
    spread = quantile * math.sqrt(share * (1 - share) / count + square / (4 * count * count))
    scale = 1 + square / count
    return Interval(max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale))


def _flipped_signs(values: NDArray[np.float64]) -> float:
    """How often the sum is as far from 0 when each prompt's sign is a coin's."""
    values = values[values != 0]
    count = len(values)
    if count == 0:
        return 1.0
    seen = abs(values.sum()) * (1 - 1e-12)
    if count <= 15:
        patterns = (np.arange(2**count)[:, None] >> np.arange(count)) & 1
        return float((np.abs((1 - 2 * patterns) @ values) >= seen).mean())
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (20_000, count))
    return float((1 + (np.abs(signs @ values) >= seen).sum()) / 20_001)


def _student(probability: float, freedom: int) -> float:
    from scipy.stats import t

    return float(t.ppf(probability, freedom))

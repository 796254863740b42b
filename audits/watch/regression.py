"""What became worse between two runs of one audit, by more than chance explains.

Both runs ask the same questions with the same seeds, so pictures are compared one by one. A criterion that
a picture passes or misses is tested by McNemar's exact test on the pictures that changed sides (McNemar
1947); latency by a sign test that its median grew by more than a tolerance. Many criteria are tested at
once: the chance of any false alarm in a run is at most `alpha`, by Bonferroni's correction over the tests
that could fail at all (Tarone 1990). Knows neither files nor pictures.
"""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from audits.coin import at_least

LATENCY = "latency"
"""The one score that is a time in milliseconds; of every other, True is a pass."""
LATENCY_TOLERANCE_RATIO = 0.1

Key = tuple[str, str, str]
"""Asset type, variant, criterion."""
Scores = Mapping[Key, Mapping[str, bool | float]]
"""By picture. A picture has the same name in both runs."""


@dataclass(frozen=True, slots=True)
class Change:
    """One criterion of one variant. `before` and `after` are the share that passes, or the median in ms.
    `worse` and `better` count pictures. `p_value` is one-sided, before any correction."""

    asset: str
    variant: str
    criterion: str
    before: float
    after: float
    count: int
    worse: int
    better: int
    p_value: float
    regressed: bool = False


@dataclass(frozen=True, slots=True)
class Comparison:
    """`changes` has every criterion that both runs measured, the least likely by chance first. `missing`
    are those that only the accepted run measured."""

    changes: tuple[Change, ...]
    missing: tuple[Key, ...]

    @property
    def regressions(self) -> tuple[Change, ...]:
        return tuple(each for each in self.changes if each.regressed)


def compare(accepted: Scores, current: Scores, alpha: float = 0.05) -> Comparison:
    """A picture that only one run has is left out. The order of equals is that of the accepted run."""
    changes, missing = [], []
    for key, before in accepted.items():
        after = current.get(key, {})
        common = [picture for picture in before if picture in after]
        if common:
            pairs = [(float(before[picture]), float(after[picture])) for picture in common]
            changes.append(_change(key, pairs))
        else:
            missing.append(key)
    limit = _level(changes, alpha)
    judged = [replace(each, regressed=each.worse > 0 and each.p_value <= limit) for each in changes]
    return Comparison(tuple(sorted(judged, key=lambda each: each.p_value)), tuple(missing))


def _change(key: Key, pairs: Sequence[tuple[float, float]]) -> Change:
    olds, news = [before for before, _ in pairs], [after for _, after in pairs]
    middle: Callable[[Sequence[float]], float]
    if key[2] == LATENCY:
        worse = sum(after > before * (1 + LATENCY_TOLERANCE_RATIO) for before, after in pairs)
        better = len(pairs) - worse
        middle = statistics.median
    else:
        worse = sum(before > after for before, after in pairs)
        better = sum(before < after for before, after in pairs)
        middle = statistics.fmean
    chance = at_least(worse, worse + better)
    return Change(*key, middle(olds), middle(news), len(pairs), worse, better, chance)


def _level(changes: Sequence[Change], alpha: float) -> float:
    """Tarone's: with K the smallest number such that at most K tests could reach alpha / K, that is the
    level of each. A test of n pictures that changed sides cannot come below 2⁻ⁿ."""
    smallest = [2.0 ** -(each.worse + each.better) for each in changes]
    for tests in range(1, len(changes) + 1):
        if sum(each <= alpha / tests for each in smallest) <= tests:
            return alpha / tests
    return alpha

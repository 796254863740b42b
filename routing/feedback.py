"""How often people had to fix what was delivered, per route and arm, with honest uncertainty.

Wilson score intervals (Wilson 1927) for a rate; Newcombe's hybrid score interval (1998, method 10) for the
difference of two. Pure counting: does not know receipts beyond their ids.
"""

import math
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum

Z_95 = 1.959963984540054
"""Two-sided 95%."""


class Verdict(StrEnum):
    ACCEPTED = "accepted"
    FIXED = "fixed"


@dataclass(frozen=True, slots=True)
class Feedback:
    """`minutes` is how long the manual fix took, 0 for none."""

    receipt_id: str
    route: str
    verdict: Verdict
    minutes: float = 0.0
    experiment: str | None = None
    arm: str | None = None


@dataclass(frozen=True, slots=True)
class Interval:
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class FixRate:
    """`ratio` is fixed / count with its 95% interval; `minutes_mean` is over the fixed ones."""

    route: str
    experiment: str | None
    arm: str | None
    count: int
    fixed: int
    ratio: float
    interval: Interval
    minutes_mean: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Fix rate of `arm` minus that of `baseline`: negative is better."""

    arm: str
    baseline: str
    difference: float
    interval: Interval

    @property
    def decided(self) -> bool:
        """Whether no difference at all is outside the interval."""
        return self.interval.low > 0 or self.interval.high < 0


@dataclass(slots=True)
class _Tally:
    count: int = 0
    fixed: int = 0
    minutes: float = 0.0

    def add(self, feedback: Feedback, sign: int) -> None:
        self.count += sign
        if feedback.verdict is Verdict.FIXED:
            self.fixed += sign
            self.minutes += sign * feedback.minutes


Key = tuple[str, str | None, str | None]


@dataclass(slots=True)
class FeedbackBook:
    """Counts each receipt once: later feedback on the same receipt replaces the earlier one, as long as it is
    among the last `receipts_kept`. The counts themselves are kept for ever."""

    receipts_kept: int = 100_000
    _tallies: dict[Key, _Tally] = field(default_factory=dict)
    _seen: OrderedDict[str, Feedback] = field(default_factory=OrderedDict)

    def add(self, feedback: Feedback) -> None:
        """Raises ValueError for a negative or endless time."""
        if not 0 <= feedback.minutes < math.inf:
            raise ValueError(f"minutes must be 0 or more, not {feedback.minutes}")
        earlier = self._seen.pop(feedback.receipt_id, None)
        if earlier is not None:
            self._tallies[_key(earlier)].add(earlier, -1)
        self._tallies.setdefault(_key(feedback), _Tally()).add(feedback, 1)
        self._seen[feedback.receipt_id] = feedback
        if len(self._seen) > self.receipts_kept:
            self._seen.popitem(last=False)

    def counts(self) -> "FeedbackBook":
        """What was counted until now, without the receipts: small enough to hand around."""
        return FeedbackBook(0, {key: replace(tally) for key, tally in self._tallies.items()})

    @classmethod
    def joined(cls, books: "Iterable[FeedbackBook]") -> "FeedbackBook":
        """The counts of several books that hold different receipts."""
        total = cls(0)
        for book in books:
            for key, tally in book._tallies.items():
                own = total._tallies.setdefault(key, _Tally())
                own.count += tally.count
                own.fixed += tally.fixed
                own.minutes += tally.minutes
        return total

    def rates(self) -> tuple[FixRate, ...]:
        """Per route, experiment and arm, in the order in which they were first heard of."""
        return tuple(_rate(key, tally) for key, tally in self._tallies.items() if tally.count > 0)

    def comparisons(self, experiment: str, baseline: str | None = None) -> tuple[Comparison, ...]:
        """Each arm against the baseline, or against the arm that was heard of first. Empty while there is no
        feedback on the baseline."""
        arms: dict[str, _Tally] = {}
        for (_, name, arm), tally in self._tallies.items():
            if name == experiment and arm is not None and tally.count > 0:
                total = arms.setdefault(arm, _Tally())
                total.count += tally.count
                total.fixed += tally.fixed
        baseline = next(iter(arms), None) if baseline is None else baseline
        if baseline is None or baseline not in arms:
            return ()
        return tuple(
            _compare(arm, tally, baseline, arms[baseline]) for arm, tally in arms.items() if arm != baseline
        )


def wilson(successes: int, count: int, z: float = Z_95) -> Interval:
    """The interval of a rate: [0, 1] with nothing observed."""
    if count <= 0:
        return Interval(0.0, 1.0)
    ratio = successes / count
    centre = ratio + z * z / (2 * count)
    spread = z * math.sqrt(ratio * (1 - ratio) / count + z * z / (4 * count * count))
    scale = 1 + z * z / count
    low = 0.0 if successes == 0 else max(0.0, (centre - spread) / scale)
    high = 1.0 if successes == count else min(1.0, (centre + spread) / scale)
    return Interval(low, high)


def newcombe(successes: int, count: int, base_successes: int, base_count: int, z: float = Z_95) -> Interval:
    """The interval of the difference between two independent rates; both counts must be positive."""
    ratio, base = successes / count, base_successes / base_count
    own, other = wilson(successes, count, z), wilson(base_successes, base_count, z)
    difference = ratio - base
    below = math.hypot(ratio - own.low, other.high - base)
    above = math.hypot(own.high - ratio, base - other.low)
    return Interval(max(-1.0, difference - below), min(1.0, difference + above))


def _key(feedback: Feedback) -> Key:
    return feedback.route, feedback.experiment, feedback.arm


def _rate(key: Key, tally: _Tally) -> FixRate:
    route, experiment, arm = key
    minutes_mean = tally.minutes / tally.fixed if tally.fixed else 0.0
    interval = wilson(tally.fixed, tally.count)
    ratio = tally.fixed / tally.count
    return FixRate(route, experiment, arm, tally.count, tally.fixed, ratio, interval, minutes_mean)


def _compare(arm: str, tally: _Tally, baseline: str, base: _Tally) -> Comparison:
    difference = tally.fixed / tally.count - base.fixed / base.count
    interval = newcombe(tally.fixed, tally.count, base.fixed, base.count)
    return Comparison(arm, baseline, difference, interval)

"""The manual-fix rate of a variant: predicted by thresholds, measured by people, and how well the two
agree.

A picture is predicted to need a fix when a criterion's threshold is missed. It is measured to need one
when at least half of those who judged it say so. Where people judged too few pictures of a variant, what
they said of pictures that pass and of pictures that fail turns its prediction into a calibrated rate.
Knows neither files nor costs.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from routing.feedback import Interval, wilson


@dataclass(frozen=True, slots=True)
class Word:
    """What one person said of one picture. `minutes` is the fix's time, 0 when it is accepted."""

    fix: bool
    minutes: float = 0.0


@dataclass(frozen=True, slots=True)
class Picture:
    """`predicted_fix` is what the thresholds say; `words` is empty for a picture that nobody judged."""

    predicted_fix: bool
    words: tuple[Word, ...] = ()

    @property
    def needs_fix(self) -> bool:
        return 2 * sum(word.fix for word in self.words) >= len(self.words) > 0


@dataclass(frozen=True, slots=True)
class FixRate:
    """`ratio` of `count` pictures with its 95% interval. `minutes` is the mean time of a fix, None where
    nobody timed one."""

    ratio: float
    interval: Interval
    count: int
    minutes: float | None = None


@dataclass(frozen=True, slots=True)
class Agreement:
    """Predictions against people, over the pictures that were judged.

    `fix_if_failed` is how often people fix a picture that misses a threshold, `fix_if_passed` one that
    misses none. `kappa` is Cohen's (1960): 1 is perfect, 0 what chance would give; None where one of the
    two never varies.
    """

    count: int
    agreeing: int
    fix_if_failed: FixRate
    fix_if_passed: FixRate
    kappa: float | None

    @property
    def ratio(self) -> float | None:
        return self.agreeing / self.count if self.count else None


def predicted(pictures: Sequence[Picture]) -> FixRate:
    return _rate(sum(each.predicted_fix for each in pictures), len(pictures))


def measured(pictures: Iterable[Picture]) -> FixRate:
    """Over the pictures that somebody judged; of none, the ratio is 0 in an interval from 0 to 1."""
    judged = [each for each in pictures if each.words]
    times = [word.minutes for each in judged for word in each.words if word.fix]
    return _rate(
        sum(each.needs_fix for each in judged), len(judged), sum(times) / len(times) if times else None
    )


def agreement(pictures: Iterable[Picture]) -> Agreement:
    judged = [each for each in pictures if each.words]
    failed = [each for each in judged if each.predicted_fix]
    passed = [each for each in judged if not each.predicted_fix]
    agreeing = sum(each.needs_fix for each in failed) + sum(not each.needs_fix for each in passed)
    return Agreement(len(judged), agreeing, measured(failed), measured(passed), _kappa(judged, agreeing))


def calibrated(pictures: Sequence[Picture], known: Agreement) -> FixRate:
    """The rate that the predictions mean, by what people said of others that passed and failed. Its
    interval takes both ends of both, so it holds at least 95%. The time of a fix is that of either kind,
    by their shares."""
    failing = sum(each.predicted_fix for each in pictures) / len(pictures) if pictures else 0.0
    shares = ((failing, known.fix_if_failed), (1 - failing, known.fix_if_passed))
    ratio = sum(share * rate.ratio for share, rate in shares)
    low = sum(share * rate.interval.low for share, rate in shares)
    high = sum(share * rate.interval.high for share, rate in shares)
    timed = [(share * rate.ratio, rate.minutes) for share, rate in shares if rate.minutes is not None]
    weight = sum(each for each, _ in timed)
    minutes = sum(each * minutes for each, minutes in timed) / weight if weight else None
    return FixRate(ratio, Interval(low, high), len(pictures), minutes)


def _rate(fixed: int, count: int, minutes: float | None = None) -> FixRate:
    return FixRate(fixed / count if count else 0.0, wilson(fixed, count), count, minutes)


def _kappa(judged: Sequence[Picture], agreeing: int) -> float | None:
    if not judged:
        return None
    count = len(judged)
    said = sum(each.needs_fix for each in judged) / count
    foretold = sum(each.predicted_fix for each in judged) / count
    by_chance = said * foretold + (1 - said) * (1 - foretold)
    return (agreeing / count - by_chance) / (1 - by_chance) if by_chance < 1 else None

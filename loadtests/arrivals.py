"""When requests arrive: pure functions from a rate profile and a seed to arrival times.

The times are fixed before the first request is sent, so that a slow server cannot slow the arrivals
down: that is what makes a load test open-loop. Knows nothing of what arrives.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

Times = npt.NDArray[np.float64]
"""Arrival times in seconds from the start of the run, ascending."""


class Spacing(StrEnum):
    """How arrivals are spread at a given rate: independent of each other, or evenly."""

    POISSON = "poisson"
    EVEN = "even"


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of time over which the rate goes linearly from `start_rps` to `end_rps`."""

    duration_s: float
    start_rps: float
    end_rps: float

    def __post_init__(self) -> None:
        if self.duration_s <= 0:
            raise ValueError(f"a segment lasts {self.duration_s} s; it must last longer than 0")
        if self.start_rps < 0 or self.end_rps < 0:
            raise ValueError(f"a rate of {min(self.start_rps, self.end_rps)} requests per second is negative")

    @property
    def expected(self) -> float:
        """Mean number of arrivals."""
        return self.duration_s * (self.start_rps + self.end_rps) / 2


Profile = Sequence[Segment]
"""Segments one after the other."""


def constant(rps: float, duration_s: float) -> list[Segment]:
    return [Segment(duration_s, rps, rps)]


def ramp(start_rps: float, end_rps: float, duration_s: float) -> list[Segment]:
    return [Segment(duration_s, start_rps, end_rps)]


def spike(base_rps: float, peak_rps: float, before_s: float, peak_s: float, after_s: float) -> list[Segment]:
    return [*constant(base_rps, before_s), *constant(peak_rps, peak_s), *constant(base_rps, after_s)]


def on_off(on_rps: float, off_rps: float, on_s: float, off_s: float, duration_s: float) -> list[Segment]:
    """Bursts of `on_s` at `on_rps` with pauses of `off_s` at `off_rps`, cut at `duration_s`."""
    segments: list[Segment] = []
    left_s = duration_s
    while left_s > 1e-9:
        for rps, length_s in ((on_rps, on_s), (off_rps, off_s)):
            if left_s > 1e-9:
                segments.append(Segment(min(length_s, left_s), rps, rps))
                left_s -= length_s
    return segments


def duration_s(profile: Profile) -> float:
    return sum(segment.duration_s for segment in profile)


def expected_arrivals(profile: Profile) -> float:
    return sum(segment.expected for segment in profile)


def schedule(profile: Profile, spacing: Spacing = Spacing.POISSON, seed: int = 0) -> Times:
    """Arrival times of a (non-homogeneous) Poisson process, or evenly spaced ones, with this rate profile.

    Both are drawn on the axis of expected arrivals, where the rate is 1 everywhere, and mapped back to
    time by inverting the cumulative rate (Çinlar 1975). Given their number, the arrivals of a unit-rate
    Poisson process are independent and uniform.
    """
    total = expected_arrivals(profile)
    if spacing is Spacing.EVEN:
        positions = np.arange(int(np.floor(total + 0.5)), dtype=np.float64) + 0.5
        positions = positions[positions <= total]
    else:
        rng = np.random.default_rng(seed)
        positions = np.sort(rng.uniform(0.0, total, rng.poisson(total)))
    return _invert_cumulative_rate(profile, positions)


def replay(arrivals_s: Sequence[float], *, time_scale: float = 1.0, start_s: float = 0.0) -> Times:
    """Recorded arrivals from `start_s` on, moved to 0 and stretched: `time_scale` 0.1 is tenfold speed."""
    if time_scale <= 0:
        raise ValueError(f"time_scale {time_scale} must be greater than 0")
    recorded = np.sort(np.asarray(arrivals_s, dtype=np.float64))
    return (recorded[recorded >= start_s] - start_s) * time_scale


def _invert_cumulative_rate(profile: Profile, positions: Times) -> Times:
    pieces: list[Times] = []
    elapsed_s = passed = 0.0
    for segment in profile:
        end = passed + segment.expected
        inside = positions[(positions > passed) & (positions <= end)] - passed
        pieces.append(elapsed_s + _time_within(segment, inside))
        elapsed_s += segment.duration_s
        passed = end
    return np.concatenate(pieces) if pieces else np.empty(0, dtype=np.float64)


def _time_within(segment: Segment, counts: Times) -> Times:
    """Solves `start·t + slope·t²/2 = counts` for t, in the form that does not cancel for small slopes."""
    slope = (segment.end_rps - segment.start_rps) / segment.duration_s
    root = np.sqrt(np.maximum(segment.start_rps**2 + 2 * slope * counts, 0.0))
    times: Times = np.minimum(2 * counts / (segment.start_rps + root), segment.duration_s)
    return times

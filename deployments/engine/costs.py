"""Learns how long steps take and how many requests fit: step time = a + c * batch, for each shape.

Knows no clock: it is told durations. Not locked: its owner is.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from deployments.engine.work import Shape

FORGET = 0.98
"""Weight of the past at each observation: the last fifty or so decide."""

OUTLIER_RATIO = 4.0
"""A step this much slower than predicted counts as only that slow: a pause is no trend."""

RISE_AFTER = 8
"""Full calls before a lowered cap rises by one, up to just under what failed."""

RETRY_AFTER = 500
"""Full calls before the size that failed is tried again: a neighbour may have freed its memory."""


@dataclass(slots=True)
class Line:
    """Least squares of seconds over batch size, weighted towards the recent. Both coefficients >= 0.

    The normal equations as five sums, each decayed by FORGET: a size unseen for long fades.
    """

    weight: float = 0.0
    batch: float = 0.0
    batch_squared: float = 0.0
    seconds: float = 0.0
    batch_seconds: float = 0.0
    observed: int = 0

    def observe(self, batch: int, seconds: float) -> None:
        if self.observed >= 4:
            fixed, slope = self.coefficients()
            seconds = min(seconds, OUTLIER_RATIO * (fixed + slope * batch))
        self.weight = FORGET * self.weight + 1
        self.batch = FORGET * self.batch + batch
        self.batch_squared = FORGET * self.batch_squared + batch * batch
        self.seconds = FORGET * self.seconds + seconds
        self.batch_seconds = FORGET * self.batch_seconds + batch * seconds
        self.observed += 1

    def coefficients(self) -> tuple[float, float]:
        """(a, c) in seconds. While only one batch size was seen, half is taken to be fixed cost."""
        mean_batch, mean_s = self.batch / self.weight, self.seconds / self.weight
        variance = self.batch_squared / self.weight - mean_batch**2
        if variance < 1e-6:
            return mean_s / 2, mean_s / 2 / mean_batch
        slope = (self.batch_seconds / self.weight - mean_batch * mean_s) / variance
        slope = min(max(slope, 0.0), mean_s / mean_batch)
        return max(mean_s - slope * mean_batch, 0.0), slope


@dataclass(slots=True)
class Mean:
    """Exponentially weighted mean of seconds."""

    seconds: float = 0.0
    observed: int = 0

    def observe(self, seconds: float) -> None:
        share = max(1 / (self.observed + 1), 0.1)
        self.seconds += share * (seconds - self.seconds)
        self.observed += 1


@dataclass(slots=True)
class Cap:
    """How many requests of a shape fit in memory. A failure halves it; success raises it slowly.

    `too_many` is the smallest size known to fail, None if none is. `fits` is the largest that has
    succeeded since: no failure lowers the cap below it unless it fails itself.
    """

    size: int
    ceiling: int
    too_many: int | None = None
    fits: int = 0
    since_change: int = 0

    def failed(self, batch: int) -> None:
        self.too_many = batch
        if self.fits >= batch:
            self.fits = 0
        self.size = max(1, self.fits, min(self.size, batch) // 2)
        self.since_change = 0

    def succeeded(self, batch: int) -> None:
        self.fits = max(self.fits, batch)
        if self.size >= self.ceiling or batch < self.size:
            return
        self.since_change += 1
        rising_to = self.size + 1
        if self.since_change < (RETRY_AFTER if rising_to == self.too_many else RISE_AFTER):
            return
        if rising_to == self.too_many:
            self.too_many = None
        self.size = rising_to
        self.since_change = 0


Learned = TypeVar("Learned", Line, Mean)


@dataclass(slots=True)
class ShapeCosts:
    cap: Cap
    step: Line = field(default_factory=Line)
    prepare: Mean = field(default_factory=Mean)
    decode: Mean = field(default_factory=Mean)


class CostModel:
    """Predictions of all shapes. An unseen shape is scaled by rows and pixels from the nearest seen one.

    With nothing seen at all, every prediction is zero: nobody is refused for want of knowledge.
    """

    def __init__(self, max_batch: int) -> None:
        self._max_batch = max_batch
        self._shapes: dict[Shape, ShapeCosts] = {}

    def knows(self, shape: Shape) -> bool:
        """Whether steps of this very shape were seen; otherwise predictions are extrapolated."""
        known = self._shapes.get(shape)
        return known is not None and known.step.observed > 0

    def step_s(self, shape: Shape, batch: int) -> float:
        line, scale = self._nearest(shape, lambda costs: costs.step)
        if line is None:
            return 0.0
        fixed, slope = line.coefficients()
        return (fixed + slope * batch) * scale

    def prepare_s(self, shape: Shape) -> float:
        mean, scale = self._nearest(shape, lambda costs: costs.prepare)
        return mean.seconds * scale if mean else 0.0

    def decode_s(self, shape: Shape) -> float:
        mean, scale = self._nearest(shape, lambda costs: costs.decode)
        return mean.seconds * scale if mean else 0.0

    def cap(self, shape: Shape) -> int:
        known = self._shapes.get(shape)
        return known.cap.size if known else self._max_batch

    def of(self, shape: Shape) -> ShapeCosts:
        """The entry of `shape`, made if missing."""
        if shape not in self._shapes:
            self._shapes[shape] = ShapeCosts(Cap(self._max_batch, self._max_batch))
        return self._shapes[shape]

    def shapes(self) -> Mapping[Shape, ShapeCosts]:
        return self._shapes

    def step_by_megapixel(self, batch: int, guided: bool = True) -> tuple[float, float]:
        """(fixed, per megapixel) seconds of a step at `batch`, from the sizes seen; (0, 0) without any.

        With one size, all of it is taken to grow with the pixels, as for unseen shapes.
        """
        points = [
            (shape.width * shape.height / 1e6, self.step_s(shape, batch))
            for shape, costs in self._shapes.items()
            if costs.step.observed and shape.guided == guided
        ]
        if not points:
            return 0.0, 0.0
        mean_size = sum(size for size, _ in points) / len(points)
        mean_s = sum(seconds for _, seconds in points) / len(points)
        variance = sum((size - mean_size) ** 2 for size, _ in points)
        if variance < 1e-12:
            return 0.0, mean_s / mean_size
        slope = sum((size - mean_size) * (seconds - mean_s) for size, seconds in points) / variance
        slope = min(max(slope, 0.0), mean_s / mean_size)
        return max(mean_s - slope * mean_size, 0.0), slope

    def _nearest(self, shape: Shape, part: Callable[[ShapeCosts], Learned]) -> tuple[Learned | None, float]:
        """What was learned for `shape`, or for the one nearest in size, with the factor between them."""
        own = self._shapes.get(shape)
        if own is not None and part(own).observed:
            return part(own), 1.0
        seen = [(other, part(costs)) for other, costs in self._shapes.items() if part(costs).observed]
        if not seen:
            return None, 1.0
        other, learned = min(seen, key=lambda pair: abs(math.log(_size(shape) / _size(pair[0]))))
        return learned, _size(shape) / _size(other)


def _size(shape: Shape) -> int:
    return shape.width * shape.height * (2 if shape.guided else 1)

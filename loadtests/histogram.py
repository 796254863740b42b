"""A histogram of latencies with a fixed relative error, in the manner of HdrHistogram.

Values are kept in whole microseconds. Each power of two is cut into 256 buckets, so that a quantile is
within 0.2% of the true one whatever the range, memory does not grow with the number of values, and
histograms of several processes add up exactly.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

_SUB_BITS = 8
_SUB_BUCKETS = 1 << _SUB_BITS


class Histogram:
    """Counts of non-negative values in milliseconds. Mean, minimum and maximum are exact."""

    __slots__ = ("_counts", "count", "max_ms", "min_ms", "sum_ms")

    def __init__(self, values_ms: Iterable[float] = ()) -> None:
        self._counts: dict[int, int] = {}
        self.count = 0
        self.sum_ms = 0.0
        self.min_ms = math.inf
        self.max_ms = -math.inf
        for value_ms in values_ms:
            self.record(value_ms)

    def record(self, value_ms: float) -> None:
        """Raises ValueError for a negative, infinite or undefined value."""
        if not 0 <= value_ms < math.inf:
            raise ValueError(f"a latency of {value_ms} ms cannot be recorded")
        bucket = _bucket_of(round(value_ms * 1000))
        self._counts[bucket] = self._counts.get(bucket, 0) + 1
        self.count += 1
        self.sum_ms += value_ms
        self.min_ms = min(self.min_ms, value_ms)
        self.max_ms = max(self.max_ms, value_ms)

    @classmethod
    def of_array(cls, values_ms: npt.NDArray[np.float64]) -> "Histogram":
        """As if every value had been recorded, for many at once."""
        histogram = cls()
        if not len(values_ms):
            return histogram
        if not (np.isfinite(values_ms).all() and values_ms.min() >= 0):
            raise ValueError("a latency is negative, infinite or undefined")
        values_us = np.rint(values_ms * 1000).astype(np.int64)
        # frexp's exponent is the bit length of a whole number below 2**53.
        shifts = np.maximum(0, np.frexp(values_us.astype(np.float64))[1] - _SUB_BITS - 1).astype(np.int64)
        buckets, counts = np.unique(shifts * _SUB_BUCKETS + (values_us >> shifts), return_counts=True)
        histogram._counts = dict(zip(buckets.tolist(), counts.tolist(), strict=True))
        histogram.count = len(values_ms)
        histogram.sum_ms = float(values_ms.sum())
        histogram.min_ms, histogram.max_ms = float(values_ms.min()), float(values_ms.max())
        return histogram

    def add(self, other: "Histogram") -> None:
        for bucket, count in other._counts.items():
            self._counts[bucket] = self._counts.get(bucket, 0) + count
        self.count += other.count
        self.sum_ms += other.sum_ms
        self.min_ms = min(self.min_ms, other.min_ms)
        self.max_ms = max(self.max_ms, other.max_ms)

    @property
    def mean_ms(self) -> float | None:
        return self.sum_ms / self.count if self.count else None

    def quantile_ms(self, q: float) -> float | None:
        """The smallest value that at least `q` (0..1) of the values do not exceed; None when empty."""
        if not 0 <= q <= 1:
            raise ValueError(f"quantile {q} is not between 0 and 1")
        if not self.count:
            return None
        rank = max(1, math.ceil(q * self.count - 1e-9))
        if rank >= self.count:
            return self.max_ms
        seen = 0
        for bucket in sorted(self._counts):
            seen += self._counts[bucket]
            if seen >= rank:
                return min(max(_middle_ms(bucket), self.min_ms), self.max_ms)
        return self.max_ms

    def cumulative(self) -> list[tuple[float, float]]:
        """Points (value in ms, share of values not above it), ascending: a distribution to plot."""
        points: list[tuple[float, float]] = []
        seen = 0
        for bucket in sorted(self._counts):
            seen += self._counts[bucket]
            points.append((min(max(_middle_ms(bucket), self.min_ms), self.max_ms), seen / self.count))
        return points

    def to_json(self) -> dict[str, Any]:
        return {
            "sub_bits": _SUB_BITS,
            "sum_ms": self.sum_ms,
            "min_ms": self.min_ms if self.count else None,
            "max_ms": self.max_ms if self.count else None,
            "buckets": sorted(self._counts.items()),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "Histogram":
        """Raises ValueError for a histogram of another resolution."""
        if document["sub_bits"] != _SUB_BITS:
            raise ValueError(
                f"histogram with sub_bits {document['sub_bits']}; this version reads {_SUB_BITS}"
            )
        histogram = cls()
        histogram._counts = {int(bucket): int(count) for bucket, count in document["buckets"]}
        histogram.count = sum(histogram._counts.values())
        if histogram.count:
            histogram.sum_ms = float(document["sum_ms"])
            histogram.min_ms = float(document["min_ms"])
            histogram.max_ms = float(document["max_ms"])
        return histogram


def _bucket_of(value_us: int) -> int:
    shift = max(0, value_us.bit_length() - _SUB_BITS - 1)
    return shift * _SUB_BUCKETS + (value_us >> shift)


def _middle_ms(bucket: int) -> float:
    shift = max(0, bucket // _SUB_BUCKETS - 1)
    lowest_us = (bucket - shift * _SUB_BUCKETS) << shift
    return (lowest_us + ((1 << shift) - 1) / 2) / 1000

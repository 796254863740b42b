"""How long enlarging takes, learned from what it took. Knows nothing of clocks or models."""

from typing import Final

FORGETTING: Final = 0.9
"""Weight of the past when a new observation comes: the last ten or so decide."""


class Pace:
    """Time = `overhead_ms` + `ms_per_megapixel` x megapixels of output. Nothing observed: 0."""

    def __init__(self) -> None:
        self.overhead_ms = 0.0
        self.observed = 0
        self._ms = 0.0
        self._megapixels = 0.0

    @property
    def ms_per_megapixel(self) -> float:
        return self._ms / self._megapixels if self._megapixels else 0.0

    def assume(self, overhead_ms: float, ms_per_megapixel: float) -> None:
        """From a trial at loading; the first real observations outweigh it."""
        self.overhead_ms = overhead_ms
        self._megapixels = 0.01
        self._ms = ms_per_megapixel * self._megapixels

    def observe(self, megapixels: float, took_ms: float) -> None:
        self._ms = self._ms * FORGETTING + max(0.0, took_ms - self.overhead_ms)
        self._megapixels = self._megapixels * FORGETTING + megapixels
        self.observed += 1

    def predict_ms(self, megapixels: float) -> float:
        return self.overhead_ms + self.ms_per_megapixel * megapixels

"""How long work in tiles takes, learned from what it took. Knows nothing of clocks or models."""

import math
from typing import Final

FORGETTING: Final = 0.9
"""Weight of the past when a new observation comes: the last ten or so decide."""

TELLING_MEGAPIXELS: Final = 0.05
"""Smaller outputs say more of overheads and padding than of the pace."""

TRUSTED_OBSERVATIONS: Final = 3
LOOSENING: Final = 0.9


class Pace:
    """Time = `overhead_ms` + `ms_per_megapixel` x megapixels of output. Nothing observed: 0."""

    def __init__(self) -> None:
        self.overhead_ms = 0.0
        self.observed = 0
        self._ms = 0.0
        self._megapixels = 0.0
        self._fastest_ms_per_megapixel = math.inf
        self._telling = 0

    @property
    def ms_per_megapixel(self) -> float:
        return self._ms / self._megapixels if self._megapixels else 0.0

    def assume(self, overhead_ms: float, ms_per_megapixel: float) -> None:
        """From a trial at loading; the first real observations outweigh it."""
        self.overhead_ms = overhead_ms
        self._megapixels = 0.01
        self._ms = ms_per_megapixel * self._megapixels

    def observe(self, megapixels: float, took_ms: float) -> None:
        """What takes less than the overhead, which was tried on a machine busy with loading, corrects it."""
        self.overhead_ms = min(self.overhead_ms, took_ms)
        own_ms = took_ms - self.overhead_ms
        self._ms = self._ms * FORGETTING + own_ms
        self._megapixels = self._megapixels * FORGETTING + megapixels
        self.observed += 1
        if megapixels >= TELLING_MEGAPIXELS:
            self._fastest_ms_per_megapixel = min(self._fastest_ms_per_megapixel, took_ms / megapixels)
            self._telling += 1

    def least_ms(self, megapixels: float) -> float:
        """At the best pace seen; 0 until enough was seen. Refusals go by this, not by the recent pace: after
        a slow spell that would keep out the very requests that could show that it is over."""
        known = self._telling >= TRUSTED_OBSERVATIONS
        return self._fastest_ms_per_megapixel * megapixels if known else 0.0

    def refused(self) -> None:
        """Someone was refused because of `least_ms`. Loosens it a little, so that refusals end by themselves
        where even the best pace seen was a slow one."""
        self._fastest_ms_per_megapixel *= LOOSENING

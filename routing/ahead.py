"""What a new request of a model has ahead of it: when places become free, and how wrong such predictions are.

Pure: the time comes in as a value.
"""

import heapq
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

LOOKED_AT = 256
"""Requests of a queue that are laid out one by one."""

CALLS_KEPT = 256
LATELY_S = 30.0
ENOUGH = 64


@dataclass(slots=True)
class PlacesAhead:
    """When each of `parallelism` places of a model is free again, first come first served."""

    free_at_s: list[float] = field(default_factory=lambda: [0.0])

    def resize(self, parallelism: int, now_s: float) -> None:
        while len(self.free_at_s) > parallelism:
            heapq.heappop(self.free_at_s)
        while len(self.free_at_s) < parallelism:
            heapq.heappush(self.free_at_s, now_s)

    def add(self, work_s: float, now_s: float) -> float:
        """When the work is predicted to end."""
        ends_s = max(self.free_at_s[0], now_s) + work_s
        heapq.heapreplace(self.free_at_s, ends_s)
        return ends_s

    def remove(self, work_s: float, now_s: float) -> None:
        """Work that will not be done after all. All places are alike: the busiest gives it up."""
        busiest = max(range(len(self.free_at_s)), key=self.free_at_s.__getitem__)
        self.free_at_s[busiest] = max(now_s, self.free_at_s[busiest] - work_s)
        heapq.heapify(self.free_at_s)

    def wait_ms(self, now_s: float, costs_ahead_ms: Sequence[float] = ()) -> float:
        """Until a new request starts, if those go first. Of a very long queue only the beginning is looked
        at request by request: how they fall on the places matters little behind it."""
        if not costs_ahead_ms:
            return max(0.0, self.free_at_s[0] - now_s) * 1000
        places = list(self.free_at_s)
        for cost_ms in costs_ahead_ms[:LOOKED_AT]:
            heapq.heapreplace(places, max(places[0], now_s) + cost_ms / 1000)
        rest_ms = sum(costs_ahead_ms[LOOKED_AT:]) / len(places)
        return max(0.0, places[0] - now_s) * 1000 + rest_ms

    def correct(self, late_s: float, now_s: float) -> None:
        """Work ended later (or, negative, earlier) than predicted: so will what queues behind it. Without
        this the errors of a queue that never empties would add up."""
        if self.free_at_s[0] > now_s:
            heapq.heapreplace(self.free_at_s, max(now_s, self.free_at_s[0] + late_s))

    def set_wait(self, wait_ms: float, now_s: float) -> None:
        """Moves all places so that the first is free after the wait."""
        first = max(self.free_at_s[0], now_s)
        shift = now_s + wait_ms / 1000 - first
        self.free_at_s = [max(now_s, max(each, now_s) + shift) for each in self.free_at_s]


@dataclass(slots=True)
class Lateness:
    """How late calls ended, relative to what their queue could explain: the last ones of the last seconds.
    What was seen before is forgotten: a model that is refused for its errors is not observed any more, and
    must get another chance."""

    seen: deque[tuple[float, float]] = field(default_factory=deque)
    ordered: list[float] = field(default_factory=list)

    def add(self, ratio: float, now_s: float) -> None:
        self._forget(now_s)
        if len(self.seen) == CALLS_KEPT:
            self._drop_oldest()
        self.seen.append((now_s, ratio))
        insort(self.ordered, ratio)

    def worst(self, now_s: float) -> float | None:
        """All but one of those kept were less late: at overload every request is let in as late as can be,
        so this is how often the promise is broken. One outlier does not count. None while too little is
        known."""
        self._forget(now_s)
        return self.ordered[-2] if len(self.ordered) >= ENOUGH else None

    def _forget(self, now_s: float) -> None:
        while self.seen and self.seen[0][0] < now_s - LATELY_S:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        _, ratio = self.seen.popleft()
        del self.ordered[bisect_left(self.ordered, ratio)]

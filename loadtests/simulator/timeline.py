"""Simulated time: what happens when, in the order of time, and of scheduling at the same moment."""

import heapq
import itertools
from collections.abc import Callable
from typing import Any

Happening = Callable[[Any], None]


class Timeline:
    """What repeats ends at `until_s`; what was put at a moment happens, however late."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.until_s = 0.0
        self._events: list[tuple[float, int, Happening, Any]] = []
        self._order = itertools.count()

    def at(self, moment_s: float, happen: Happening, what: Any) -> None:
        heapq.heappush(self._events, (moment_s, next(self._order), happen, what))

    def every(self, interval_s: float, start_s: float, happen: Happening, what: Any) -> None:
        """Not at the very beginning: nothing has happened then."""

        def again(count: int) -> None:
            happen(what)
            if start_s + (count + 1) * interval_s <= self.until_s:
                self.at(start_s + (count + 1) * interval_s, again, count + 1)

        first = 0 if start_s else 1
        self.at(start_s + first * interval_s, again, first)

    def after(self, interval_s: float, happen: Happening, what: Any) -> None:
        if self.now_s + interval_s <= self.until_s:
            self.at(self.now_s + interval_s, happen, what)

    def run_until(self, limit_s: float) -> None:
        while self._events and self._events[0][0] <= limit_s:
            self.now_s, _, happen, what = heapq.heappop(self._events)
            happen(what)

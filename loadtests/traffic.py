"""Calls over a stretch of time, for those who simulate the same calls again and again."""

from collections.abc import Sequence
from dataclasses import dataclass

from loadtests.workload import Call


@dataclass(frozen=True, slots=True)
class Traffic:
    """Calls by ascending time, and how long they last. The same traffic may be simulated by several seeds."""

    calls: Sequence[Call]
    duration_s: float

    def split(self, share: float) -> tuple["Traffic", "Traffic"]:
        """The first `share` (0..1) of the time, and the rest, moved to 0."""
        cut_s = self.duration_s * share
        first = [call for call in self.calls if call.at_s < cut_s]
        rest = [
            Call(call.index, call.at_s - cut_s, call.shot, call.turn)
            for call in self.calls
            if call.at_s >= cut_s
        ]
        return Traffic(first, cut_s), Traffic(rest, self.duration_s - cut_s)

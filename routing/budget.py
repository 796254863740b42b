"""Deadline: one instant that queue, stages and fallbacks share.

An instant instead of a remaining time, so that nothing has to count down; on the clock of its caller.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from routing.types import PlannedStage


@dataclass(frozen=True, slots=True)
class Deadline:
    """`at_s` is None for unlimited."""

    at_s: float | None

    @classmethod
    def after(cls, budget_ms: float | None, now_s: float) -> "Deadline":
        return cls(None if budget_ms is None else now_s + budget_ms / 1000)

    def remaining_ms(self, now_s: float) -> float | None:
        """Never negative: 0 once it has passed. None for unlimited."""
        return None if self.at_s is None else max(0.0, (self.at_s - now_s) * 1000)

    def passed(self, now_s: float) -> bool:
        return self.at_s is not None and now_s >= self.at_s

    def sooner(self, other: "Deadline") -> "Deadline":
        if self.at_s is None or other.at_s is None:
            return other if self.at_s is None else self
        return self if self.at_s <= other.at_s else other

    def earlier_by(self, reserve_ms: float) -> "Deadline":
        """The deadline of work that must leave `reserve_ms` for what comes after it."""
        return Deadline(None if self.at_s is None else self.at_s - reserve_ms / 1000)

    def reserving(self, reserve_ms: float, *, at_least_ms: float, now_s: float) -> "Deadline":
        """Earlier by the reserve, but not before `at_least_ms` from now, and never later than this one."""
        if self.at_s is None:
            return self
        return Deadline(min(self.at_s, max(self.at_s - reserve_ms / 1000, now_s + at_least_ms / 1000)))

    def split(self, stages: Sequence[PlannedStage], reserve_ms: float = 0.0) -> tuple["Deadline", ...]:
        """One deadline per stage: as late as the predicted times of the stages after it allow.

        A stage that overruns its own is stopped when the rest cannot be done in time any more, not only when
        nothing is left. `reserve_ms` is kept for what follows the last stage.
        """
        deadlines = []
        after_ms = reserve_ms
        for stage in reversed(stages):
            deadlines.append(self.earlier_by(after_ms))
            after_ms += stage.predicted_ms
        return tuple(reversed(deadlines))

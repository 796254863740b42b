"""Counts observations: constant memory however many there are, and tallies of several processes add up."""

import heapq
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from loadtests.histogram import Histogram
from loadtests.images import ImageChecks
from loadtests.observation import Observation, Unanswered

LATE_MS = 10.0
"""A call sent this much after it was due counts as late: the generator, not the service, was behind."""


@dataclass(slots=True)
class Group:
    """What became of a set of arrivals. Every arrival is in `offered` and under one code of `outcomes`.

    `latency` is of answers with an image; `refusals` of every other answer, at the time it took.
    """

    offered: int = 0
    good: int = 0
    late: int = 0
    substituted: int = 0
    attempts: int = 0
    gpu_s: float = 0.0
    cost_usd: float = 0.0
    outcomes: Counter[str] = field(default_factory=Counter)
    rungs: Counter[int] = field(default_factory=Counter)
    models: Counter[str] = field(default_factory=Counter)
    latency: Histogram = field(default_factory=Histogram)
    refusals: Histogram = field(default_factory=Histogram)

    def record(self, seen: Observation) -> None:
        answer = seen.answer
        self.offered += 1
        self.good += seen.good
        self.outcomes[str(answer.code)] += 1
        if seen.sent:
            self.late += seen.late_ms > LATE_MS
            (self.latency if answer.ok else self.refusals).record(seen.latency_ms)
        if answer.ok:
            self.substituted += answer.substituted
            self.attempts += answer.attempts
            self.gpu_s += answer.gpu_s
            self.cost_usd += answer.cost_usd
            self.rungs[answer.rung] += 1
            self.models[answer.model or "unknown"] += 1

    def add(self, other: "Group") -> None:
        self.offered += other.offered
        self.good += other.good
        self.late += other.late
        self.substituted += other.substituted
        self.attempts += other.attempts
        self.gpu_s += other.gpu_s
        self.cost_usd += other.cost_usd
        self.outcomes += other.outcomes
        self.rungs += other.rungs
        self.models += other.models
        self.latency.add(other.latency)
        self.refusals.add(other.refusals)

    @property
    def ok(self) -> int:
        return self.outcomes["ok"]

    @property
    def dropped(self) -> int:
        return self.outcomes[Unanswered.DROPPED]

    @property
    def goodput_ratio(self) -> float | None:
        return self.good / self.offered if self.offered else None

    @property
    def error_ratio(self) -> float | None:
        return 1 - self.ok / self.offered if self.offered else None


@dataclass(frozen=True, slots=True, order=True)
class SlowCall:
    """What is needed to look a slow call up in the traces."""

    latency_ms: float
    index: int
    at_s: float
    shot: str
    code: str
    route: str | None
    model: str | None
    request_id: str | None
    trace_id: str | None


@dataclass(slots=True)
class Tally:
    """All arrivals of a run, in total, per kind of request, per route and per second of the schedule."""

    keep_slowest: int = 20
    total: Group = field(default_factory=Group)
    by_shot: dict[str, Group] = field(default_factory=dict)
    by_route: dict[str, Group] = field(default_factory=dict)
    by_second: dict[int, Group] = field(default_factory=dict)
    lateness: Histogram = field(default_factory=Histogram)
    images: ImageChecks = field(default_factory=ImageChecks)
    _slowest: list[SlowCall] = field(default_factory=list)

    def record(self, seen: Observation) -> None:
        self.total.record(seen)
        self.by_shot.setdefault(seen.call.shot.name, Group()).record(seen)
        self.by_route.setdefault(seen.answer.route or "(none)", Group()).record(seen)
        self.by_second.setdefault(int(seen.call.at_s), Group()).record(seen)
        if seen.sent:
            self.lateness.record(seen.late_ms)
            self._keep(_slow_call(seen))

    def add(self, other: "Tally") -> None:
        self.total.add(other.total)
        self.lateness.add(other.lateness)
        self.images.add(other.images)
        for mine, theirs in (
            (self.by_shot, other.by_shot),
            (self.by_route, other.by_route),
        ):
            for name, group in theirs.items():
                mine.setdefault(name, Group()).add(group)
        for second, group in other.by_second.items():
            self.by_second.setdefault(second, Group()).add(group)
        for slow in other._slowest:
            self._keep(slow)

    @property
    def slowest(self) -> list[SlowCall]:
        """The slowest first."""
        return sorted(self._slowest, reverse=True)

    def _keep(self, slow: SlowCall) -> None:
        if len(self._slowest) < self.keep_slowest:
            heapq.heappush(self._slowest, slow)
        elif self._slowest and slow > self._slowest[0]:
            heapq.heapreplace(self._slowest, slow)


def tally(observations: Iterable[Observation]) -> Tally:
    counted = Tally()
    for seen in observations:
        counted.record(seen)
    return counted


def _slow_call(seen: Observation) -> SlowCall:
    answer = seen.answer
    return SlowCall(
        latency_ms=seen.latency_ms,
        index=seen.call.index,
        at_s=seen.call.at_s,
        shot=seen.call.shot.name,
        code=str(answer.code),
        route=answer.route,
        model=answer.model,
        request_id=answer.request_id,
        trace_id=answer.trace_id,
    )

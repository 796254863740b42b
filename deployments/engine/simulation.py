"""The engine in virtual time: the same desk and plan, with a denoiser that only takes time.

A day of requests simulates in seconds, and twice the same. Knows no threads; used by tests, benchmarks
and anyone who asks what a policy would have done.
"""

import heapq
import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from deployments.engine.desk import Desk, Stage
from deployments.engine.work import Batch, Refusal, Shape


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request that comes at `at_s` and is due `budget_s` later. `leaves_after_s`: its client gives up."""

    at_s: float
    shape: Shape
    steps: int
    budget_s: float | None = None
    steady: bool = False
    leaves_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Durations:
    """What things really take, in seconds: a denoiser call over `rows` requests, and the sides of it."""

    step_s: Callable[[Shape, int], float]
    prepare_s: float = 0.0
    decode_s: float = 0.0


def linear(fixed_s: float, per_request_s: float) -> Callable[[Shape, int], float]:
    """Step time = fixed + per_request * batch, whatever the shape."""
    return lambda shape, rows: fixed_s + per_request_s * rows


class End(StrEnum):
    OK = "ok"
    REFUSED = "deadline_exceeded"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Fate:
    """How one arrival ended. `steps_done` counts denoiser calls it took part in."""

    arrival: Arrival
    end: End
    ended_s: float
    steps_done: int

    @property
    def latency_s(self) -> float:
        return self.ended_s - self.arrival.at_s

    @property
    def in_time(self) -> bool:
        """An image, inside the budget if there is one."""
        budget_s = self.arrival.budget_s
        return self.end is End.OK and (budget_s is None or self.latency_s <= budget_s + 1e-9)


@dataclass(slots=True)
class _Lane:
    """One worker: first come, first served."""

    waiting: list[int] = field(default_factory=list)
    busy: bool = False


class Simulation:
    """Run once, with `run`."""

    def __init__(self, desk: Desk, durations: Durations) -> None:
        self._desk = desk
        self._durations = durations
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._now_s = 0.0
        self._arrivals: dict[int, Arrival] = {}
        self._fates: list[Fate] = []
        self._preparing, self._decoding = _Lane(), _Lane()
        self._stepping = False
        self.device_s = 0.0
        """Time spent in denoiser calls so far."""

    def run(self, arrivals: Iterable[Arrival]) -> list[Fate]:
        """The fate of each arrival, in the order in which they ended."""
        for arrival in arrivals:
            self._at(arrival.at_s, lambda arrival=arrival: self._arrive(arrival))  # type: ignore[misc]
        while self._events:
            self._now_s, _, happen = heapq.heappop(self._events)
            happen()
        return self._fates

    def _at(self, instant_s: float, happen: Callable[[], None]) -> None:
        heapq.heappush(self._events, (instant_s, next(self._order), happen))

    def _arrive(self, arrival: Arrival) -> None:
        deadline_s = None if arrival.budget_s is None else arrival.at_s + arrival.budget_s
        entry = self._desk.admit(arrival.shape, arrival.steps, self._now_s, deadline_s, arrival.steady)
        if isinstance(entry, Refusal):
            self._fates.append(Fate(arrival, End.REFUSED, self._now_s, 0))
            return
        self._arrivals[entry.number] = arrival
        if arrival.leaves_after_s is not None:
            self._at(self._now_s + arrival.leaves_after_s, lambda: self._give_up(entry.number))
        self._enqueue(self._preparing, entry.number, self._prepare)

    def _enqueue(self, lane: _Lane, number: int, work: Callable[[int], None]) -> None:
        lane.waiting.append(number)
        self._serve(lane, work)

    def _serve(self, lane: _Lane, work: Callable[[int], None]) -> None:
        while lane.waiting and not lane.busy:
            number = lane.waiting.pop(0)
            if self._desk.get(number) is not None:
                work(number)

    def _prepare(self, number: int) -> None:
        self._preparing.busy = True
        entry = self._desk.get(number)
        assert entry is not None
        self._desk.preparing(number, self._now_s)

        def done() -> None:
            self._preparing.busy = False
            if entry.cancelled:
                self._end(number, End.CANCELLED)
            else:
                self._desk.prepared(number, self._arrivals[number].steps, self._now_s)
            self._serve(self._preparing, self._prepare)
            self._step()

        self._at(self._now_s + self._durations.prepare_s, done)

    def _step(self) -> None:
        if self._stepping:
            return
        decision = self._desk.next(self._now_s)
        for refusal in decision.refused:
            self._end(refusal.number, End.REFUSED)
        if decision.batch is None:
            return
        batch = decision.batch
        self._stepping = True
        seconds = self._durations.step_s(batch.shape, batch.rows)
        self.device_s += seconds
        self._at(self._now_s + seconds, lambda: self._stepped(batch, seconds))

    def _stepped(self, batch: Batch, seconds: float) -> None:
        self._stepping = False
        entries = [self._desk.get(number) for number in batch.numbers]
        left = {entry.number: entry.steps_left - 1 for entry in entries if entry is not None}
        for number in self._desk.stepped(batch, left, seconds, self._now_s):
            self._enqueue(self._decoding, number, self._decode)
        for entry in entries:
            if entry is not None and entry.cancelled and entry.stage is Stage.READY:
                self._end(entry.number, End.CANCELLED)
        self._step()

    def _decode(self, number: int) -> None:
        self._decoding.busy = True
        self._desk.decoding(number, self._now_s)

        def done() -> None:
            self._decoding.busy = False
            self._desk.decoded(number, self._now_s)
            self._end(number, End.OK)
            self._serve(self._decoding, self._decode)

        self._at(self._now_s + self._durations.decode_s, done)

    def _give_up(self, number: int) -> None:
        entry = self._desk.cancel(number)
        if entry is not None and entry.stage is Stage.READY:
            self._end(number, End.CANCELLED)

    def _end(self, number: int, end: End) -> None:
        entry = self._desk.get(number)
        if entry is None:
            return
        self._fates.append(Fate(self._arrivals.pop(number), end, self._now_s, entry.steps_done))
        self._desk.leave(number)

"""The books of the engine: who is where between arrival and image, and what happens next.

No threads, no clock, no tensors: every method is told the time and returns what to do. The engine runs
it on threads, the simulation in virtual time.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

from deployments.engine.costs import CostModel, Mean
from deployments.engine.planning import plan
from deployments.engine.timing import alone_s, needed_s
from deployments.engine.work import Batch, Plan, Refusal, Rules, Shape, Standing

PROBE_AFTER_S = 10.0
"""An idle engine that has not stepped a shape for so long lets a request try what predictions forbid."""


class Stage(Enum):
    PREPARING = auto()
    READY = auto()
    STEPPING = auto()
    DECODING = auto()


@dataclass(slots=True)
class Entry:
    """One request on the books. Instants are seconds of the engine's clock; None until they come."""

    number: int
    shape: Shape
    steps_left: int
    arrived_s: float
    deadline_s: float | None = None
    steady: bool = False
    background: bool = False
    predicted_s: float = 0.0
    """What admission expected from arrival to image."""
    stage: Stage = Stage.PREPARING
    alone: bool = False
    refusable: bool = True
    cancelled: bool = False
    prepare_started_s: float | None = None
    prepared_s: float | None = None
    first_step_s: float | None = None
    decode_started_s: float | None = None
    steps_done: int = 0
    busy_s: float = 0.0
    """This request's share of the device: each call's time divided by the requests in it."""
    step_ends_s: list[float] = field(default_factory=list)
    """When each step ended."""
    widths: dict[int, int] = field(default_factory=dict)
    """How many steps ran at each batch size, in requests, padding included."""

    def standing(self) -> Standing:
        return Standing(
            number=self.number,
            shape=self.shape,
            steps_left=self.steps_left,
            arrived_s=self.arrived_s,
            deadline_s=self.deadline_s,
            steady=self.steady,
            steps_done=self.steps_done,
            alone=self.alone,
            refusable=self.refusable,
            background=self.background,
            cancelled=self.cancelled,
        )


@dataclass(frozen=True, slots=True)
class Load:
    """How busy the engine is. `wait_s`: predicted time until a request that came now would step; `work_s`:
    until all steps of everybody are done; `request_work_s`: what a request adds to that in full batches,
    the mean of those that came lately, 0 before any."""

    wait_s: float
    running: int
    queued: int
    work_s: float = 0.0
    request_work_s: float = 0.0


class Desk:
    """Every entry is in one stage; an entry leaves by `leave`, whatever its end."""

    def __init__(self, costs: CostModel, rules: Rules) -> None:
        self.costs = costs
        self._rules = rules
        self._entries: dict[int, Entry] = {}
        self._arrivals = 0
        self._last_stepped_s: dict[Shape, float] = {}
        self._last_shape: Shape | None = None
        self._request_work = Mean()

    def __len__(self) -> int:
        return len(self._entries)

    def admit(
        self,
        shape: Shape,
        steps: int,
        now_s: float,
        deadline_s: float | None = None,
        steady: bool = False,
        background: bool = False,
    ) -> Entry | Refusal:
        """The new entry, or a refusal if the request could not meet its deadline even alone."""
        number = self._arrivals
        self._arrivals += 1
        entry = Entry(number, shape, steps, now_s, deadline_s, steady, background)
        entry.refusable = self._may_refuse(shape, now_s)
        alone_s = self.costs.prepare_s(shape) + needed_s(entry.standing(), self.costs)
        if entry.refusable and deadline_s is not None and now_s + alone_s > deadline_s:
            return Refusal(number, alone_s)
        entry.predicted_s = self._predicted_s(entry)
        self._entries[number] = entry
        if self.costs.knows(shape):
            self._request_work.observe(steps * self._step_share_s(shape, self.costs.cap(shape)))
        return entry

    def get(self, number: int) -> Entry | None:
        return self._entries.get(number)

    def preparing(self, number: int, now_s: float) -> None:
        self._entries[number].prepare_started_s = now_s

    def prepared(self, number: int, steps: int, now_s: float) -> None:
        """The text is encoded and the noise drawn: `steps` denoiser calls follow."""
        entry = self._entries[number]
        entry.prepared_s = now_s
        entry.steps_left = steps
        entry.stage = Stage.READY if steps else Stage.DECODING
        if entry.prepare_started_s is not None:
            seconds = now_s - entry.prepare_started_s
            self.costs.of(entry.shape).prepare.observe(seconds)
            entry.busy_s += seconds

    def next(self, now_s: float) -> Plan:
        """What to run now. Members of the batch are STEPPING until `stepped`, `did_not_fit` or `failed`."""
        ready = [entry.standing() for entry in self._entries.values() if entry.stage is Stage.READY]
        decision = plan(ready, self.costs, now_s, self._rules, self._last_shape)
        if decision.batch is not None:
            self._last_shape = decision.batch.shape
            for number in decision.batch.numbers:
                entry = self._entries[number]
                entry.stage = Stage.STEPPING
                if entry.first_step_s is None:
                    entry.first_step_s = now_s
        return decision

    def stepped(self, batch: Batch, steps_left: Mapping[int, int], seconds: float, now_s: float) -> list[int]:
        """One call ran. Returns who is ready to be decoded."""
        costs = self.costs.of(batch.shape)
        costs.step.observe(batch.rows, seconds)
        self._last_stepped_s[batch.shape] = now_s
        costs.cap.succeeded(batch.rows)
        done = []
        for number in batch.numbers:
            entry = self._entries[number]
            entry.steps_left = steps_left[number]
            entry.steps_done += 1
            entry.step_ends_s.append(now_s)
            entry.busy_s += seconds / len(batch.numbers)
            entry.widths[batch.rows] = entry.widths.get(batch.rows, 0) + 1
            entry.alone = False
            entry.stage = Stage.READY if entry.steps_left else Stage.DECODING
            if not entry.steps_left:
                done.append(number)
        return done

    def did_not_fit(self, batch: Batch) -> bool:
        """Memory failed the call, nobody moved. Lowers the cap; True if there is nothing smaller to try."""
        self._stand_again(batch)
        self.costs.of(batch.shape).cap.failed(batch.rows)
        return batch.rows == 1

    def failed(self, batch: Batch) -> bool:
        """The call failed otherwise, nobody moved. Each is tried alone; True if it was alone already."""
        self._stand_again(batch)
        for number in batch.numbers:
            self._entries[number].alone = True
        return len(batch.numbers) == 1

    def decoding(self, number: int, now_s: float) -> None:
        self._entries[number].decode_started_s = now_s

    def decoded(self, number: int, now_s: float) -> None:
        entry = self._entries[number]
        if entry.decode_started_s is not None:
            seconds = now_s - entry.decode_started_s
            self.costs.of(entry.shape).decode.observe(seconds)
            entry.busy_s += seconds

    def cancel(self, number: int) -> Entry | None:
        """Marks the entry; it takes no further step. None if it has left already."""
        entry = self._entries.get(number)
        if entry is not None:
            entry.cancelled = True
        return entry

    def leave(self, number: int) -> None:
        self._entries.pop(number, None)

    def load(self) -> Load:
        running = sum(
            entry.steps_done > 0 or entry.stage is Stage.STEPPING for entry in self._entries.values()
        )
        waiting = len(self._entries) - running
        return Load(self._wait_s(None), running, waiting, self._work_s(), self._request_work.seconds)

    def batch_for_newcomer(self, shape: Shape) -> int:
        """How many would share a call with a request of `shape` that came now, itself included."""
        same = sum(entry.shape == shape and entry.steps_left > 0 for entry in self._entries.values())
        return min(same + 1, self.costs.cap(shape))

    def _may_refuse(self, shape: Shape, now_s: float) -> bool:
        """Predictions are trusted for shapes that were seen, and seen lately unless there is work.

        Without the exception a moment of slowness could refuse everything for ever, because what is
        refused teaches nothing.
        """
        if not self.costs.knows(shape):
            return False
        seen_s = self._last_stepped_s.setdefault(shape, now_s)
        return bool(self._entries) or now_s - seen_s < PROBE_AFTER_S

    def _predicted_s(self, entry: Entry) -> float:
        return (
            self.costs.prepare_s(entry.shape)
            + self._wait_s(entry.standing())
            + needed_s(entry.standing(), self.costs, self.batch_for_newcomer(entry.shape))
        )

    def _wait_s(self, newcomer: Standing | None) -> float:
        """Predicted work that goes before `newcomer`, or before a request longer than all (None).

        Shorter requests do, as if they ran in full batches, unless it finds a place beside them. Longer ones
        give way, and those of each other shape take turns with it. Time is taken to be ample for all.
        """
        shorter = self._active()
        turns_s = 0.0
        if newcomer is not None:
            limit_s = alone_s(newcomer, self.costs)
            longer = [entry for entry in shorter if alone_s(entry.standing(), self.costs) > limit_s]
            gives_way = {entry.number for entry in longer}
            shorter = [entry for entry in shorter if entry.number not in gives_way]
            turns_s = self._turns_s(newcomer, longer)
        by_shape = _steps_by_shape(shorter)
        shape = newcomer.shape if newcomer else next(iter(by_shape)) if len(by_shape) == 1 else None
        return turns_s + sum(
            self._full_batches_s(other, steps)
            for other, steps in by_shape.items()
            if other != shape or len(steps) >= self.costs.cap(other)
        )

    def _turns_s(self, newcomer: Standing, longer: Sequence[Entry]) -> float:
        """A step of each other shape for each step of the newcomer, as long as there are any."""
        total_s = 0.0
        for shape, steps in _steps_by_shape(longer).items():
            if shape != newcomer.shape:
                batch = min(self.costs.cap(shape), len(steps))
                turns = min(newcomer.steps_left, math.ceil(sum(steps) / batch))
                total_s += turns * self.costs.step_s(shape, batch)
        return total_s

    def _work_s(self) -> float:
        by_shape = _steps_by_shape(self._active())
        return sum(self._full_batches_s(shape, steps) for shape, steps in by_shape.items())

    def _active(self) -> list[Entry]:
        return [entry for entry in self._entries.values() if not entry.cancelled and entry.steps_left]

    def _full_batches_s(self, shape: Shape, steps: Sequence[int]) -> float:
        return sum(steps) * self._step_share_s(shape, min(self.costs.cap(shape), len(steps)))

    def _step_share_s(self, shape: Shape, batch: int) -> float:
        """What one request's step costs in a batch of so many."""
        return self.costs.step_s(shape, batch) / batch

    def _stand_again(self, batch: Batch) -> None:
        for number in batch.numbers:
            self._entries[number].stage = Stage.READY


def _steps_by_shape(entries: Iterable[Entry]) -> dict[Shape, list[int]]:
    """What is left of each."""
    by_shape: dict[Shape, list[int]] = {}
    for entry in entries:
        by_shape.setdefault(entry.shape, []).append(entry.steps_left)
    return by_shape

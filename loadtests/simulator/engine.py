"""One replica's step engine in simulated time, exact to the step and yet fast.

While every request fits one batch and is in good time, each step is the same as the last: the engine jumps
to the next step boundary at which something changes. Where requests compete, the scheduler of a replica,
`deployments.engine.planning.plan`, decides each step. Encoding and decoding are delays; they do not compete
for the device.
"""

import math
from dataclasses import dataclass
from typing import Any

from deployments.engine.courtesy import worth_sharing
from deployments.engine.planning import plan
from deployments.engine.work import Rules, Shape, Standing

NEVER = math.inf
_EPSILON_S = 1e-9


@dataclass(frozen=True, slots=True)
class StepCosts:
    """Known step times: `fixed_s + per_megapixel_s * megapixels * batch`, as deployments.types.ModelLoad
    has it for one request. Satisfies deployments.engine.work.Costs."""

    fixed_s: float
    per_megapixel_s: float
    decode_time_s: float
    max_batch: int

    def step_s(self, shape: Shape, batch: int) -> float:
        return self.fixed_s + self.per_megapixel_s * shape.width * shape.height / 1e6 * batch

    def share_s(self, shape: Shape) -> float:
        """What one image's step costs in a full batch."""
        return self.step_s(shape, self.max_batch) / self.max_batch

    def decode_s(self, shape: Shape) -> float:
        return self.decode_time_s

    def cap(self, shape: Shape) -> int:
        return self.max_batch


class Job:
    """One image on one replica. `owner` is whoever waits for it."""

    __slots__ = ("arrived_s", "deadline_s", "number", "owner", "shape", "steps_done", "steps_left")

    def __init__(
        self, number: int, shape: Shape, steps: int, arrived_s: float, deadline_s: float | None, owner: Any
    ) -> None:
        self.number = number
        self.shape = shape
        self.steps_left = steps
        self.arrived_s = arrived_s
        self.deadline_s = deadline_s
        self.owner = owner
        self.steps_done = 0

    def standing(self) -> Standing:
        return Standing(
            self.number,
            self.shape,
            self.steps_left,
            self.arrived_s,
            self.deadline_s,
            steps_done=self.steps_done,
        )


class StepEngine:
    """`wake_s` is when `advance` must be called next: a boundary where requests end, join or are refused."""

    __slots__ = (
        "_batch",
        "_costs",
        "_jobs",
        "_last_shape",
        "_rules",
        "_run_steps",
        "_started_s",
        "_step_s",
        "wake_s",
    )

    def __init__(self, costs: StepCosts, rules: Rules) -> None:
        self._costs = costs
        self._rules = rules
        self._jobs: list[Job] = []
        self._batch: list[Job] = []
        self._last_shape: Shape | None = None
        self._started_s = 0.0
        self._step_s = 0.0
        self._run_steps = 0
        self.wake_s = NEVER

    def add(self, job: Job, now_s: float) -> None:
        """The job joins at the next step boundary, or at once where nothing runs."""
        self._jobs.append(job)
        if not self._batch:
            self.wake_s = now_s
            return
        steps = max(1, math.ceil((now_s - self._started_s) / self._step_s - _EPSILON_S))
        if steps < self._run_steps:
            self._run_steps = steps
            self.wake_s = self._started_s + steps * self._step_s

    def advance(self, now_s: float) -> tuple[list[Job], list[Job]]:
        """Ends the steps that run until now and begins the next: those at their last step, those refused."""
        finished: list[Job] = []
        for job in self._batch:
            job.steps_left -= self._run_steps
            job.steps_done += self._run_steps
            if job.steps_left <= 0:
                finished.append(job)
        if finished:
            self._jobs = [job for job in self._jobs if job.steps_left > 0]
        return finished, self._begin(now_s)

    def backlog_s(self, now_s: float) -> float:
        """Predicted wait of a newcomer, as deployments.engine.desk has it: none while its batch has room."""
        count = len(self._jobs)
        if not count:
            return 0.0
        shapes = {job.shape for job in self._jobs}
        cap = self._costs.max_batch
        if count < cap and len(shapes) == 1:
            return 0.0
        return self._steps_s(now_s) / cap

    def work_s(self, now_s: float) -> float:
        """Predicted time to end all work here, in batches as large as there are jobs for."""
        return self._steps_s(now_s) / max(1, min(self._costs.max_batch, len(self._jobs)))

    def _steps_s(self, now_s: float) -> float:
        """The time of every step of every job, as if each job had its batch to itself."""
        if not self._jobs:
            return 0.0
        batch = min(self._costs.max_batch, len(self._jobs))
        left_s = sum(job.steps_left * self._costs.step_s(job.shape, batch) for job in self._jobs)
        if self._batch:
            # Jobs know of the steps of a jump only when it has ended.
            done = self._steps_done(now_s) * len(self._batch)
            left_s -= done * self._costs.step_s(self._batch[0].shape, batch)
        return left_s

    def _steps_done(self, now_s: float) -> int:
        """Of those that run until `wake_s`."""
        if not self._step_s:
            return self._run_steps
        return min(self._run_steps, int((now_s - self._started_s) / self._step_s + _EPSILON_S))

    def _begin(self, now_s: float) -> list[Job]:
        if not self._jobs:
            self._batch, self.wake_s = [], NEVER
            return []
        self._started_s = now_s
        refused = [] if self._begin_jump(now_s) else self._begin_planned_step(now_s)
        if refused:
            gone = {job.number for job in refused}
            self._jobs = [job for job in self._jobs if job.number not in gone]
        self.wake_s = now_s + self._run_steps * self._step_s if self._batch else NEVER
        return refused

    def _begin_jump(self, now_s: float) -> bool:
        """Begins as many equal steps as the plan would choose all jobs for, if it is sure that it would."""
        shape, count = self._jobs[0].shape, len(self._jobs)
        if count > self._costs.max_batch or any(job.shape is not shape for job in self._jobs):
            return False
        pace_s = self._costs.step_s(shape, count)
        steps = min(job.steps_left for job in self._jobs)
        last_s = now_s + (steps - 1) * pace_s
        if not (self._all_in_time(now_s, pace_s) and self._none_given_up(last_s, steps - 1)):
            return False
        if not self._none_steps_aside():
            return False
        self._batch, self._last_shape = list(self._jobs), shape
        self._run_steps, self._step_s = steps, pace_s
        return True

    def _all_in_time(self, now_s: float, pace_s: float) -> bool:
        """At this pace to the end. Then whoever leads lets all others join, now and at each later step."""
        return all(
            job.deadline_s is None
            or now_s + job.steps_left * pace_s + self._costs.decode_time_s <= job.deadline_s
            for job in self._jobs
        )

    def _none_steps_aside(self) -> bool:
        """Even if everybody had the time to, now or at a later step: nothing is gained by leaving out the
        longest, however many, so nothing is by leaving out any others."""
        batch = sorted((job.standing() for job in self._jobs), key=lambda one: one.steps)
        if batch[0].steps == batch[-1].steps:
            return True
        return len(worth_sharing(batch, batch, self._costs)) == len(batch)

    def _none_given_up(self, at_s: float, steps_done: int) -> bool:
        """Whether the plan, which adds up work in full batches, would find everybody on time then; it does
        so before if it does then, since time passes faster than work shrinks in batches that are not full."""
        dated = [job for job in self._jobs if job.deadline_s is not None]
        if not dated:
            return True
        cap = self._costs.max_batch
        share_s = self._costs.step_s(self._jobs[0].shape, cap) / cap
        end_s = at_s + self._costs.decode_time_s
        undated = [job for job in self._jobs if job.deadline_s is None]
        # Where those without a deadline stand among the others is the plan's affair: count them first.
        end_s += sum(job.steps_left - steps_done for job in undated) * share_s
        for job in sorted(dated, key=_due):
            end_s += (job.steps_left - steps_done) * share_s
            if end_s > _due(job):
                return False
        return True

    def _begin_planned_step(self, now_s: float) -> list[Job]:
        queue = [job.standing() for job in self._jobs]
        decided = plan(queue, self._costs, now_s, self._rules, self._last_shape)
        refused_numbers = {refusal.number for refusal in decided.refused}
        refused = [job for job in self._jobs if job.number in refused_numbers]
        chosen = set(decided.batch.numbers) if decided.batch else set()
        self._batch = [job for job in self._jobs if job.number in chosen]
        if decided.batch:
            self._last_shape = decided.batch.shape
            self._step_s = self._costs.step_s(decided.batch.shape, len(self._batch))
        self._run_steps = 1
        return refused


def _due(job: Job) -> float:
    return NEVER if job.deadline_s is None else job.deadline_s

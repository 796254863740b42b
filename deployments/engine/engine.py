"""Runs a denoiser: takes requests, steps them on a thread of its own, has the rest done beside.

The desk decides, this carries out. Results come as futures. Knows nothing of asyncio, tensors or HTTP.
"""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Generic, TypeVar

from deployments import errors
from deployments.engine.beside import Beside
from deployments.engine.denoiser import Denoiser
from deployments.engine.desk import Desk, Load
from deployments.engine.hanging import HUNG_AFTER_S, UnderWay
from deployments.engine.jobs import Ask, Finished
from deployments.engine.observer import NoStepObserver, StepObserver
from deployments.engine.register import Register, outcome, too_late
from deployments.engine.work import Batch, Shape
from deployments.memory import is_out_of_memory

logger = logging.getLogger("atelier.engine")

Request = TypeVar("Request")
State = TypeVar("State")
Output = TypeVar("Output")


@dataclass(frozen=True, slots=True)
class _Running:
    """The denoiser call that is under way."""

    batch: Batch
    call: UnderWay


class StepEngine(Generic[Request, State, Output]):
    """Start with `start`, end with `close`. `submit` and `cancel` may be called from any thread."""

    def __init__(
        self,
        denoiser: Denoiser[Request, State, Output],
        desk: Desk,
        clock: Callable[[], float],
        observer: StepObserver | None = None,
        hung_after_s: float = HUNG_AFTER_S,
    ) -> None:
        self._denoiser = denoiser
        self._desk = desk
        self._clock = clock
        self._observer = observer or NoStepObserver()
        self._hung_after_s = hung_after_s
        self._register = Register[Request, State, Output](desk, denoiser.discard)
        self._changed = self._register.changed
        self._beside = Beside(denoiser, self._register, clock)
        self._running: _Running | None = None
        self._closing = False
        self._fatal: BaseException | None = None
        self._stepping = threading.Thread(target=self._run, name="step", daemon=True)

    def start(self) -> None:
        self._stepping.start()

    def submit(self, ask: Ask[Request, Output]) -> "tuple[int, Future[Finished[Output]]]":
        """The request's number and its future.

        The future fails with DeadlineExceeded (refused), OutOfMemory, ReplicaLost, ModelFailed, or what
        the denoiser raised; with CancelledError after `cancel`.
        """
        with self._changed:
            self._check()
            number, future = self._register.add(ask, self._clock())
            if not future.done():
                self._beside.prepare(number)
        return number, future

    def cancel(self, number: int) -> None:
        """Ends the request at the next boundary. Nothing happens if it has ended."""
        with self._changed:
            self._register.cancel(number)

    def load(self) -> Load:
        with self._changed:
            return self._desk.load()

    def batch_for_newcomer(self, shape: Shape) -> int:
        with self._changed:
            return self._desk.batch_for_newcomer(shape)

    def check_health(self) -> None:
        """Raises ModelFailed if the step loop has died, or a step, or work beside the steps, has hung."""
        with self._changed:
            self._check()
            calls = [*self._beside.under_way(), *([self._running.call] if self._running else [])]
        now_s = self._clock()
        for call in calls:
            call.check(now_s, self._hung_after_s)

    def close(self) -> None:
        """Ends every request, then the threads. Idempotent."""
        with self._changed:
            self._closing = True
            for number in list(self._register.jobs):
                self._register.cancel(number)
            self._changed.notify_all()
        if self._stepping.is_alive():
            self._stepping.join()
        self._beside.close()
        with self._changed:
            self._register.end_all(errors.ReplicaLost("the replica is shutting down"))

    def _check(self) -> None:
        if self._fatal is not None:
            raise errors.ModelFailed("the engine's step loop has died") from self._fatal
        if self._closing:
            raise errors.ReplicaLost("the replica is shutting down")

    # All below on the step thread.

    def _run(self) -> None:
        try:
            while (running := self._next()) is not None:
                self._step(running)
        except BaseException as error:
            logger.exception("the step loop died")
            with self._changed:
                self._fatal = error
                self._running = None
                self._register.end_all(errors.ModelFailed("the engine's step loop has died"))

    def _next(self) -> _Running | None:
        """Waits for work. None when the engine closes."""
        with self._changed:
            while not self._closing:
                now_s = self._clock()
                decision = self._desk.next(now_s)
                for refusal in decision.refused:
                    self._register.end(refusal.number, too_late(refusal))
                batch = decision.batch
                if batch is not None:
                    predicted_s = self._desk.costs.step_s(batch.shape, batch.rows)
                    what = f"a step of {len(batch.numbers)} requests of {batch.shape}"
                    self._running = _Running(batch, UnderWay(what, now_s, predicted_s))
                    return self._running
                self._changed.wait()
        return None

    def _step(self, running: _Running) -> None:
        batch = running.batch
        states = [self._register.state(number) for number in batch.numbers]
        started_s = self._clock()
        try:
            failures = self._denoiser.step(states, batch.width)
        except Exception as error:
            self._did_not_step(batch, error)
            return
        ended_s = self._clock()
        steps_left = {
            number: 0 if failure else self._denoiser.steps_left(state)
            for number, state, failure in zip(batch.numbers, states, failures, strict=True)
        }
        with self._changed:
            self._running = None
            costs = self._desk.costs
            predicted_s = running.call.predicted_s if costs.knows(batch.shape) else None
            done = self._desk.stepped(batch, steps_left, ended_s - started_s, ended_s)
            self._observer.stepped(batch, ended_s - started_s, predicted_s, costs.cap(batch.shape))
            for number, failure in zip(batch.numbers, failures, strict=True):
                if failure is not None:
                    self._register.end(number, outcome(failure))
                elif self._register.jobs[number].entry.cancelled:
                    self._register.end(number)
                elif number in done:
                    self._beside.decode(number)
                else:
                    self._beside.show_preview(number)

    def _did_not_step(self, batch: Batch, error: Exception) -> None:
        """No state has moved: smaller batches after a lack of memory, else one by one to find the culprit."""
        no_memory = is_out_of_memory(error)
        with self._changed:
            self._running = None
            if no_memory:
                logger.warning("out of memory at a batch of %d requests of %s", batch.rows, batch.shape)
                ends = self._desk.did_not_fit(batch)
                self._observer.did_not_fit(batch, self._desk.costs.cap(batch.shape))
            else:
                ends = self._desk.failed(batch)
            if ends:
                self._register.end(batch.numbers[0], outcome(error))
            for number in batch.numbers:
                if number in self._register.jobs and self._register.jobs[number].entry.cancelled:
                    self._register.end(number)
        if no_memory:
            self._denoiser.free_memory()

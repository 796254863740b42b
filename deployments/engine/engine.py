"""Runs a denoiser: one thread for steps, one for preparing, one for decoding.

The desk decides, this carries out. Results come as futures. Knows nothing of asyncio, tensors or HTTP.
"""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

from deployments import errors
from deployments.engine.denoiser import Denoiser
from deployments.engine.desk import Desk, Entry, Load, Stage
from deployments.engine.jobs import Ask, Finished
from deployments.engine.work import Batch, Refusal, Shape
from deployments.memory import is_out_of_memory

logger = logging.getLogger("atelier.engine")

Request = TypeVar("Request")
State = TypeVar("State")
Output = TypeVar("Output")

PREVIEW_BACKLOG = 2
"""Previews that may wait for the decoding thread before further ones are dropped."""


@dataclass(slots=True)
class _Job(Generic[Request, State, Output]):
    ask: Ask[Request, Output]
    entry: Entry
    future: "Future[Finished[Output]]"
    state: State | None = None
    steps: int = 0
    previews_shown: int = 0


class StepEngine(Generic[Request, State, Output]):
    """Start with `start`, end with `close`. `submit` and `cancel` may be called from any thread."""

    def __init__(
        self, denoiser: Denoiser[Request, State, Output], desk: Desk, clock: Callable[[], float]
    ) -> None:
        self._denoiser = denoiser
        self._desk = desk
        self._clock = clock
        self._jobs: dict[int, _Job[Request, State, Output]] = {}
        self._changed = threading.Condition(threading.RLock())
        self._closing = False
        self._fatal: BaseException | None = None
        self._previews_waiting = 0
        self._preparing = ThreadPoolExecutor(1, thread_name_prefix="prepare")
        self._decoding = ThreadPoolExecutor(1, thread_name_prefix="decode")
        self._stepping = threading.Thread(target=self._run, name="step", daemon=True)

    def start(self) -> None:
        self._stepping.start()

    def submit(self, ask: Ask[Request, Output]) -> "tuple[int, Future[Finished[Output]]]":
        """The request's number and its future.

        The future fails with DeadlineExceeded (refused), OutOfMemory, ReplicaLost, ModelFailed, or what
        the denoiser raised; with CancelledError after `cancel`.
        """
        future: Future[Finished[Output]] = Future()
        # Only the engine ends a future: whoever waits for it says `cancel(number)` instead.
        future.set_running_or_notify_cancel()
        with self._changed:
            self._check()
            admitted = self._desk.admit(
                ask.shape, ask.steps, self._clock(), ask.deadline_s, ask.steady, ask.background
            )
            if isinstance(admitted, Refusal):
                future.set_exception(_too_late(admitted))
                return admitted.number, future
            self._jobs[admitted.number] = _Job(ask, admitted, future)
            self._preparing.submit(self._prepare, admitted.number)
        return admitted.number, future

    def cancel(self, number: int) -> None:
        """Ends the request at the next boundary. Nothing happens if it has ended."""
        with self._changed:
            entry = self._desk.cancel(number)
            if entry is not None and entry.stage is Stage.READY:
                self._end(number)

    def load(self) -> Load:
        with self._changed:
            return self._desk.load()

    def batch_for_newcomer(self, shape: Shape) -> int:
        with self._changed:
            return self._desk.batch_for_newcomer(shape)

    def check_health(self) -> None:
        """Raises ModelFailed if the step loop has died."""
        with self._changed:
            self._check()

    def close(self) -> None:
        """Ends every request, then the threads. Idempotent."""
        with self._changed:
            self._closing = True
            for number in list(self._jobs):
                self.cancel(number)
            self._changed.notify_all()
        if self._stepping.is_alive():
            self._stepping.join()
        self._preparing.shutdown(cancel_futures=True)
        self._decoding.shutdown(cancel_futures=True)
        with self._changed:
            self._end_all(errors.ReplicaLost("the replica is shutting down"))

    def _check(self) -> None:
        if self._fatal is not None:
            raise errors.ModelFailed("the engine's step loop has died") from self._fatal
        if self._closing:
            raise errors.ReplicaLost("the replica is shutting down")

    # Preparing, on its own thread.

    def _prepare(self, number: int) -> None:
        with self._changed:
            job = self._still_wanted(number)
            if job is None:
                return
            self._desk.preparing(number, self._clock())
        try:
            state = self._twice_if_memory_fails(lambda: self._denoiser.prepare(job.ask.request))
        except BaseException as error:
            self._fail(number, error)
            return
        steps = self._denoiser.steps_left(state)
        with self._changed:
            if number not in self._jobs:
                self._denoiser.discard(state)
                return
            job.state, job.steps = state, steps
            self._desk.prepared(number, steps, self._clock())
            if job.entry.cancelled:
                self._end(number)
            elif steps == 0:
                self._decoding.submit(self._decode, number)
            self._changed.notify_all()

    def _twice_if_memory_fails(self, work: Callable[[], State]) -> State:
        try:
            return work()
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        self._denoiser.free_memory()
        return work()

    # Stepping, on its own thread.

    def _run(self) -> None:
        try:
            while (batch := self._next_batch()) is not None:
                self._step(batch)
        except BaseException as error:
            logger.exception("the step loop died")
            with self._changed:
                self._fatal = error
                self._end_all(errors.ModelFailed("the engine's step loop has died"))

    def _next_batch(self) -> Batch | None:
        """Waits for work. None when the engine closes."""
        with self._changed:
            while not self._closing:
                decision = self._desk.next(self._clock())
                for refusal in decision.refused:
                    self._end(refusal.number, _too_late(refusal))
                if decision.batch is not None:
                    return decision.batch
                self._changed.wait()
        return None

    def _step(self, batch: Batch) -> None:
        states = [self._state(number) for number in batch.numbers]
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
            done = self._desk.stepped(batch, steps_left, ended_s - started_s, ended_s)
            for number, failure in zip(batch.numbers, failures, strict=True):
                if failure is not None:
                    self._end(number, _outcome(failure))
                elif self._jobs[number].entry.cancelled:
                    self._end(number)
                elif number in done:
                    self._decoding.submit(self._decode, number)
                elif self._jobs[number].ask.previews is not None:
                    self._show_preview(self._jobs[number])

    def _did_not_step(self, batch: Batch, error: Exception) -> None:
        """No state has moved: smaller batches after a lack of memory, else one by one to find the culprit."""
        with self._changed:
            if is_out_of_memory(error):
                logger.warning("out of memory at a batch of %d requests of %s", batch.rows, batch.shape)
                ends = self._desk.did_not_fit(batch)
            else:
                ends = self._desk.failed(batch)
            if ends:
                self._end(batch.numbers[0], _outcome(error))
            for number in batch.numbers:
                if number in self._jobs and self._jobs[number].entry.cancelled:
                    self._end(number)
        if is_out_of_memory(error):
            self._denoiser.free_memory()

    def _show_preview(self, job: _Job[Request, State, Output]) -> None:
        """At equal distances, if the decoding thread keeps up. Call with the lock."""
        previews = job.ask.previews
        assert previews is not None
        due = job.entry.steps_done * (previews.count + 1) // max(1, job.steps)
        if job.previews_shown >= min(due, previews.count) or self._previews_waiting >= PREVIEW_BACKLOG:
            return
        picture = self._denoiser.preview(self._state(job.entry.number))
        if picture is None:
            return
        index = job.previews_shown
        job.previews_shown += 1
        self._previews_waiting += 1
        self._decoding.submit(self._preview, job, index, picture)

    # Decoding, on its own thread.

    def _preview(self, job: _Job[Request, State, Output], index: int, picture: Callable[[], Output]) -> None:
        try:
            with self._changed:
                self._previews_waiting -= 1
                if self._still_wanted(job.entry.number) is None:
                    return
            assert job.ask.previews is not None
            job.ask.previews.show(index, picture())
        except Exception:
            # A preview is a courtesy: the image itself goes on.
            logger.warning("a preview could not be made", exc_info=True)

    def _decode(self, number: int) -> None:
        with self._changed:
            job = self._still_wanted(number)
            if job is None:
                return
            self._desk.decoding(number, self._clock())
            state = self._state(number)
        try:
            output = self._decode_within_memory(state)
        except BaseException as error:
            self._fail(number, error)
            return
        with self._changed:
            now_s = self._clock()
            self._desk.decoded(number, now_s)
            self._end(number, result=Finished(output, job.entry, now_s))

    def _decode_within_memory(self, state: State) -> Output:
        try:
            return self._denoiser.decode(state, frugal=False)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        self._denoiser.free_memory()
        return self._denoiser.decode(state, frugal=True)

    # Ends. All with the lock held.

    def _state(self, number: int) -> State:
        state = self._jobs[number].state
        assert state is not None, "only a prepared request is stepped or decoded"
        return state

    def _still_wanted(self, number: int) -> _Job[Request, State, Output] | None:
        job = self._jobs.get(number)
        if job is None or not job.entry.cancelled:
            return job
        if job.entry.stage is not Stage.STEPPING:
            self._end(number)
        return None

    def _fail(self, number: int, error: BaseException) -> None:
        with self._changed:
            self._end(number, _outcome(error))

    def _end_all(self, error: BaseException) -> None:
        for number in list(self._jobs):
            self._end(number, error)

    def _end(
        self, number: int, error: BaseException | None = None, result: Finished[Output] | None = None
    ) -> None:
        """Takes a request off the books; without error or result it was cancelled."""
        self._desk.leave(number)
        job = self._jobs.pop(number, None)
        if job is None:
            return
        if job.state is not None:
            self._denoiser.discard(job.state)
        if result is not None:
            job.future.set_result(result)
        else:
            job.future.set_exception(error or CancelledError())


def _too_late(refusal: Refusal) -> errors.DeadlineExceeded:
    predicted_ms = refusal.predicted_s * 1000
    return errors.DeadlineExceeded(
        f"the deadline cannot be met: the image is predicted in {predicted_ms:.0f} ms", predicted_ms
    )


def _outcome(error: BaseException) -> BaseException:
    if is_out_of_memory(error):
        return errors.OutOfMemory("the request does not fit this replica's memory, even alone")
    return error

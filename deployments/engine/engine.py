"""Runs a denoiser: one thread for steps, one for preparing, one for decoding.

The desk decides, this carries out. Results come as futures. Knows nothing of asyncio, tensors or HTTP.
"""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

from deployments import errors
from deployments.engine.denoiser import Denoiser
from deployments.engine.desk import Desk, Entry, Load, Stage
from deployments.engine.work import Batch, Refusal, Shape
from deployments.memory import is_out_of_memory

logger = logging.getLogger("atelier.engine")

Request = TypeVar("Request")
State = TypeVar("State")
Output = TypeVar("Output")


@dataclass(frozen=True, slots=True)
class Finished(Generic[Output]):
    """`entry` holds the times and batches; it changes no more."""

    output: Output
    entry: Entry
    decoded_s: float


@dataclass(slots=True)
class _Job(Generic[Request, State, Output]):
    request: Request
    entry: Entry
    future: "Future[Finished[Output]]"
    state: State | None = None


class StepEngine(Generic[Request, State, Output]):
    """Start with `start`, end with `close`. `submit` and `cancel` may be called from any thread."""

    def __init__(
        self, denoiser: Denoiser[Request, State, Output], desk: Desk, clock: Callable[[], float]
    ) -> None:
        self._denoiser = denoiser
        self._desk = desk
        self._clock = clock
        self._jobs: dict[int, _Job[Request, State, Output]] = {}
        self._changed = threading.Condition()
        self._closing = False
        self._fatal: BaseException | None = None
        self._preparing = ThreadPoolExecutor(1, thread_name_prefix="prepare")
        self._decoding = ThreadPoolExecutor(1, thread_name_prefix="decode")
        self._stepping = threading.Thread(target=self._run, name="step", daemon=True)

    def start(self) -> None:
        self._stepping.start()

    def submit(
        self,
        request: Request,
        shape: Shape,
        steps: int,
        deadline_s: float | None = None,
        steady: bool = False,
    ) -> "tuple[int, Future[Finished[Output]]]":
        """The request's number and its future, which fails with a RenderError or what the denoiser raised."""
        future: Future[Finished[Output]] = Future()
        with self._changed:
            self._check()
            admitted = self._desk.admit(shape, steps, self._clock(), deadline_s, steady)
            if isinstance(admitted, Refusal):
                future.set_exception(_too_late(admitted))
                return admitted.number, future
            self._jobs[admitted.number] = _Job(request, admitted, future)
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
            return self._desk.load(self._clock())

    def check_health(self) -> None:
        """Raises if the step loop has died."""
        with self._changed:
            self._check()
        if self._stepping.ident is not None and not self._stepping.is_alive():
            raise errors.ModelFailed("the engine's step loop has ended")

    def close(self) -> None:
        """Ends every request, then the threads."""
        with self._changed:
            self._closing = True
            for number in list(self._jobs):
                self._desk.cancel(number)
            self._changed.notify_all()
        if self._stepping.is_alive():
            self._stepping.join()
        self._preparing.shutdown(cancel_futures=True)
        self._decoding.shutdown(cancel_futures=True)
        with self._changed:
            for number in list(self._jobs):
                self._end(number, errors.ReplicaLost("the replica is shutting down"))

    def _check(self) -> None:
        if self._fatal is not None:
            raise errors.ModelFailed("the engine's step loop has died") from self._fatal
        if self._closing:
            raise errors.ReplicaLost("the replica is shutting down")

    def _prepare(self, number: int) -> None:
        job = self._still_wanted(number)
        if job is None:
            return
        job.entry.prepare_started_s = self._clock()
        try:
            job.state = self._twice_if_memory_fails(lambda: self._denoiser.prepare(job.request))
            steps = self._denoiser.steps_left(job.state)
        except BaseException as error:
            self._fail(number, error)
            return
        with self._changed:
            self._desk.prepared(number, steps, self._clock())
            if job.entry.cancelled:
                self._end(number)
            elif steps == 0:
                self._decoding.submit(self._decode, number)
            self._changed.notify_all()

    def _run(self) -> None:
        try:
            while (batch := self._next_batch()) is not None:
                self._step(batch)
        except BaseException as error:
            logger.exception("the step loop died")
            with self._changed:
                self._fatal = error
                for number in list(self._jobs):
                    self._end(number, errors.ModelFailed("the engine's step loop has died"))

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
        states = [self._jobs[number].state for number in batch.numbers]
        started_s = self._clock()
        try:
            failures = self._denoiser.step(states, batch.width)  # type: ignore[arg-type]
        except Exception as error:
            self._did_not_step(batch, error)
            return
        ended_s = self._clock()
        steps_left = {
            number: 0 if failure else self._denoiser.steps_left(state)  # type: ignore[arg-type]
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

    def _did_not_step(self, batch: Batch, error: Exception) -> None:
        """No state has moved: smaller batches after a lack of memory, else one by one to find the culprit."""
        with self._changed:
            if is_out_of_memory(error):
                hopeless = self._desk.did_not_fit(batch)
                logger.warning("out of memory at %d requests of %s", len(batch.numbers), batch.shape)
            else:
                hopeless = len(batch.numbers) == 1
                self._desk.postponed(batch)
            if hopeless:
                self._end(batch.numbers[0], _outcome(error))
        self._denoiser.free_memory()
        if not hopeless and not is_out_of_memory(error):
            self._step_alone(batch)

    def _step_alone(self, batch: Batch) -> None:
        for number in batch.numbers:
            self._step(Batch(batch.shape, (number,), batch.width))

    def _decode(self, number: int) -> None:
        job = self._still_wanted(number)
        if job is None or job.state is None:
            return
        state = job.state
        started_s = job.entry.decode_started_s = self._clock()
        try:
            try:
                output = self._denoiser.decode(state, frugal=False)
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                self._denoiser.free_memory()
                output = self._denoiser.decode(state, frugal=True)
        except BaseException as error:
            self._fail(number, error)
            return
        ended_s = self._clock()
        with self._changed:
            self._desk.decoded(number, ended_s - started_s)
            self._end(number, result=Finished(output, job.entry, ended_s))

    def _twice_if_memory_fails(self, work: Callable[[], State]) -> State:
        try:
            return work()
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        self._denoiser.free_memory()
        return work()

    def _still_wanted(self, number: int) -> _Job[Request, State, Output] | None:
        with self._changed:
            job = self._jobs.get(number)
            if job is not None and job.entry.cancelled:
                self._end(number)
                return None
            return job

    def _fail(self, number: int, error: BaseException) -> None:
        with self._changed:
            self._end(number, _outcome(error))

    def _end(
        self, number: int, error: BaseException | None = None, result: Finished[Output] | None = None
    ) -> None:
        """Takes a request off the books; without error or result it was cancelled. Call with the lock."""
        self._desk.leave(number)
        job = self._jobs.pop(number, None)
        if job is None:
            return
        if job.state is not None:
            self._denoiser.discard(job.state)
        if job.future.done():
            return
        if result is not None:
            job.future.set_result(result)
        elif error is not None:
            job.future.set_exception(error)
        else:
            job.future.cancel()


def _too_late(refusal: Refusal) -> errors.DeadlineExceeded:
    predicted_ms = refusal.predicted_s * 1000
    return errors.DeadlineExceeded(
        f"the deadline cannot be met: about {predicted_ms:.0f} ms are needed", predicted_ms
    )


def _outcome(error: BaseException) -> BaseException:
    if is_out_of_memory(error):
        return errors.OutOfMemory("the request does not fit this replica's memory, even alone")
    return error

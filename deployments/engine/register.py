"""The requests of a running engine: books, states and futures, behind one lock.

The desk knows where each request stands; here is what it consists of. A request leaves by `end`, once,
whatever its end.
"""

import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from typing import Generic, TypeVar

from deployments import errors
from deployments.engine.desk import Desk, Entry, Stage
from deployments.engine.jobs import Ask, Finished
from deployments.engine.work import Refusal
from deployments.memory import is_out_of_memory

Request = TypeVar("Request")
State = TypeVar("State")
Output = TypeVar("Output")


@dataclass(slots=True)
class Job(Generic[Request, State, Output]):
    ask: Ask[Request, Output]
    entry: Entry
    future: "Future[Finished[Output]]"
    state: State | None = None
    steps: int = 0
    previews_shown: int = 0


class Register(Generic[Request, State, Output]):
    """Every method wants the lock, `changed`, held; waiters on it are told when there may be work."""

    def __init__(self, desk: Desk, discard: Callable[[State], None]) -> None:
        self.desk = desk
        self.changed = threading.Condition(threading.RLock())
        self.jobs: dict[int, Job[Request, State, Output]] = {}
        self._discard = discard

    def add(self, ask: Ask[Request, Output], now_s: float) -> "tuple[int, Future[Finished[Output]]]":
        """The request's number and its future, which has failed already if the request was refused."""
        future: Future[Finished[Output]] = Future()
        # Only the engine ends a future: whoever waits for it says `cancel(number)` instead.
        future.set_running_or_notify_cancel()
        admitted = self.desk.admit(ask.shape, ask.steps, now_s, ask.deadline_s, ask.steady, ask.background)
        if isinstance(admitted, Refusal):
            future.set_exception(too_late(admitted))
        else:
            self.jobs[admitted.number] = Job(ask, admitted, future)
        return admitted.number, future

    def cancel(self, number: int) -> None:
        """Ends the request now if nothing is being done for it, else at the next boundary."""
        entry = self.desk.cancel(number)
        if entry is not None and entry.stage is Stage.READY:
            self.end(number)

    def wanted(self, number: int) -> Job[Request, State, Output] | None:
        """The request, unless it has left or was cancelled; one that was cancelled ends here."""
        job = self.jobs.get(number)
        if job is None or not job.entry.cancelled:
            return job
        if job.entry.stage is not Stage.STEPPING:
            self.end(number)
        return None

    def state(self, number: int) -> State:
        state = self.jobs[number].state
        assert state is not None, "only a prepared request is stepped or decoded"
        return state

    def end(
        self, number: int, error: BaseException | None = None, result: Finished[Output] | None = None
    ) -> None:
        """Takes a request off the books; without error or result it was cancelled."""
        self.desk.leave(number)
        job = self.jobs.pop(number, None)
        if job is None:
            return
        if job.state is not None:
            self._discard(job.state)
        if result is not None:
            job.future.set_result(result)
        else:
            job.future.set_exception(error or CancelledError())

    def end_all(self, error: BaseException) -> None:
        for number in list(self.jobs):
            self.end(number, error)


def too_late(refusal: Refusal) -> errors.DeadlineExceeded:
    predicted_ms = refusal.predicted_s * 1000
    return errors.DeadlineExceeded(
        f"the deadline cannot be met: the image is predicted in {predicted_ms:.0f} ms", predicted_ms
    )


def outcome(error: BaseException) -> BaseException:
    """What a request ends with whose work raised `error`."""
    if is_out_of_memory(error):
        return errors.OutOfMemory("the request does not fit this replica's memory, even alone")
    return error

"""What is done beside the steps: preparing, previews, decoding. One thread before the steps, one after them.

So neither text encoding nor decoding stalls a step. The desk is told of each; nothing is decided here.
"""

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Generic, TypeVar

from deployments.engine.denoiser import Denoiser
from deployments.engine.hanging import UnderWay
from deployments.engine.jobs import Finished
from deployments.engine.register import Job, Register, outcome
from deployments.engine.work import Shape
from deployments.memory import is_out_of_memory

logger = logging.getLogger("atelier.engine")

Request = TypeVar("Request")
State = TypeVar("State")
Output = TypeVar("Output")

PREVIEW_BACKLOG = 2
"""Previews that may wait for the decoding thread before further ones are dropped."""


class Beside(Generic[Request, State, Output]):
    """`prepare`, `decode` and `show_preview` return at once. Call them, and `under_way`, with the register's
    lock."""

    def __init__(
        self,
        denoiser: Denoiser[Request, State, Output],
        register: Register[Request, State, Output],
        clock: Callable[[], float],
    ) -> None:
        self._denoiser = denoiser
        self._register = register
        self._desk = register.desk
        self._clock = clock
        self._previews_waiting = 0
        self._under_way: dict[str, UnderWay] = {}
        self._preparing = ThreadPoolExecutor(1, thread_name_prefix="prepare")
        self._decoding = ThreadPoolExecutor(1, thread_name_prefix="decode")

    def prepare(self, number: int) -> None:
        self._preparing.submit(self._prepare, number)

    def decode(self, number: int) -> None:
        self._decoding.submit(self._decode, number)

    def show_preview(self, number: int) -> None:
        """At equal distances, if previews are wanted and the decoding thread keeps up."""
        job = self._register.jobs[number]
        if job.ask.previews is None:
            return
        wanted = job.ask.previews.count
        due = job.entry.steps_done * (wanted + 1) // max(1, job.steps)
        if job.previews_shown >= min(due, wanted) or self._previews_waiting >= PREVIEW_BACKLOG:
            return
        picture = self._denoiser.preview(self._register.state(number))
        if picture is None:
            return
        index = job.previews_shown
        job.previews_shown += 1
        self._previews_waiting += 1
        self._decoding.submit(self._preview, job, index, picture)

    def under_way(self) -> list[UnderWay]:
        """What each thread is at."""
        return list(self._under_way.values())

    def close(self) -> None:
        """Waits for what is being done; what has not begun never will. Call without the lock."""
        self._preparing.shutdown(cancel_futures=True)
        self._decoding.shutdown(cancel_futures=True)

    def _prepare(self, number: int) -> None:
        with self._register.changed:
            job = self._register.wanted(number)
            if job is None:
                return
            self._desk.preparing(number, self._clock())
        try:
            with self._watched("preparing", job.ask.shape, self._desk.costs.prepare_s):
                state = self._twice_if_memory_fails(lambda: self._denoiser.prepare(job.ask.request))
        except BaseException as error:
            self._fail(number, error)
            return
        steps = self._denoiser.steps_left(state)
        with self._register.changed:
            if number not in self._register.jobs:
                self._denoiser.discard(state)
                return
            job.state, job.steps = state, steps
            self._desk.prepared(number, steps, self._clock())
            if job.entry.cancelled:
                self._register.end(number)
            elif steps == 0:
                self.decode(number)
            self._register.changed.notify_all()

    @contextmanager
    def _watched(self, what: str, shape: Shape, predict_s: Callable[[Shape], float]) -> Iterator[None]:
        with self._register.changed:
            call = UnderWay(f"{what} a request of {shape}", self._clock(), predict_s(shape))
            self._under_way[what] = call
        try:
            yield
        finally:
            with self._register.changed:
                del self._under_way[what]

    def _twice_if_memory_fails(self, work: Callable[[], State]) -> State:
        try:
            return work()
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        self._denoiser.free_memory()
        return work()

    def _preview(self, job: Job[Request, State, Output], index: int, picture: Callable[[], Output]) -> None:
        try:
            with self._register.changed:
                self._previews_waiting -= 1
                if self._register.wanted(job.entry.number) is None:
                    return
            assert job.ask.previews is not None
            with self._watched("a preview of", job.ask.shape, self._desk.costs.decode_s):
                shown = picture()
            job.ask.previews.show(index, shown)
        except Exception:
            # A preview is a courtesy: the image itself goes on.
            logger.warning("a preview could not be made", exc_info=True)

    def _decode(self, number: int) -> None:
        with self._register.changed:
            job = self._register.wanted(number)
            if job is None:
                return
            self._desk.decoding(number, self._clock())
            state = self._register.state(number)
        try:
            with self._watched("decoding", job.ask.shape, self._desk.costs.decode_s):
                output = self._decode_within_memory(state)
        except BaseException as error:
            self._fail(number, error)
            return
        with self._register.changed:
            now_s = self._clock()
            self._desk.decoded(number, now_s)
            self._register.end(number, result=Finished(output, job.entry, now_s))

    def _decode_within_memory(self, state: State) -> Output:
        try:
            return self._denoiser.decode(state, frugal=False)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        self._denoiser.free_memory()
        return self._denoiser.decode(state, frugal=True)

    def _fail(self, number: int, error: BaseException) -> None:
        with self._register.changed:
            self._register.end(number, outcome(error))

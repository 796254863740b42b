"""Being on time: waiting until an exact moment on the event loop, and not being held up.

asyncio's timers fire up to a millisecond late, since epoll counts in whole milliseconds. At hundreds of
arrivals per second that is visible in the arrivals and in every latency. A Linux timerfd is exact to tens
of microseconds and needs no spinning; elsewhere, and in simulated time, asyncio's own timers serve.
"""

import asyncio
import ctypes
import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

_CLOCK_MONOTONIC = 1
_TFD_TIMER_ABSTIME = 1
_WORTH_A_TIMER_S = 20e-6


class Pacer(Protocol):
    async def until(self, due: float) -> None:
        """Returns at `due` on the loop's clock, or after one turn of the loop if that has passed: answers
        must come in even where the schedule is behind. One waiter at a time."""
        ...


class LoopPacer:
    async def until(self, due: float) -> None:
        await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Itimerspec(ctypes.Structure):
    _fields_ = (("interval", _Timespec), ("value", _Timespec))


class TimerfdPacer:
    """Use on a loop whose clock is CLOCK_MONOTONIC, as that of asyncio's selector loop is."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = self._libc.timerfd_create(_CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._fired: asyncio.Future[None] | None = None
        loop.add_reader(self._fd, self._fire)

    async def until(self, due: float) -> None:
        if due - self._loop.time() < _WORTH_A_TIMER_S:
            await asyncio.sleep(0)
            return
        whole = int(due)
        moment = _Itimerspec(value=_Timespec(whole, int((due - whole) * 1e9) or 1))
        if self._libc.timerfd_settime(self._fd, _TFD_TIMER_ABSTIME, ctypes.byref(moment), None):
            raise OSError(ctypes.get_errno(), "timerfd_settime")
        self._fired = self._loop.create_future()
        await self._fired

    def close(self) -> None:
        self._loop.remove_reader(self._fd)
        os.close(self._fd)

    def _fire(self) -> None:
        try:
            os.read(self._fd, 8)
        except BlockingIOError:
            return
        if self._fired is not None and not self._fired.done():
            self._fired.set_result(None)


@contextmanager
def open_pacer() -> Iterator[Pacer]:
    """The most exact pacer there is for the running loop."""
    loop = asyncio.get_running_loop()
    # A subclass may have a clock of its own.
    if not sys.platform.startswith("linux") or type(loop) is not asyncio.SelectorEventLoop:
        yield LoopPacer()
        return
    pacer = TimerfdPacer(loop)
    try:
        yield pacer
    finally:
        pacer.close()


@contextmanager
def short_collections() -> Iterator[None]:
    """Keeps what was loaded before the run out of garbage collections: they would stop it for up to a
    quarter of a second, several times a minute."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()

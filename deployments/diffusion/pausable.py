"""A function that stops in the middle, hands something out, and goes on with the answer.

Runs in a thread of its own, so that code which knows nothing of pausing (a library's pipeline) can be
stopped deep inside a call. Only one side runs at a time. Knows nothing of tensors.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Abandoned(BaseException):
    """Raised inside a paused function that nobody will resume: unwinds it."""


@dataclass(frozen=True, slots=True)
class Paused:
    """The function asks for `wanted` and waits for `resume`."""

    wanted: Any


@dataclass(frozen=True, slots=True)
class Returned(Generic[T]):
    value: T


@dataclass(frozen=True, slots=True)
class Raised:
    error: BaseException


Pause = Callable[[Any], Any]
"""Called by the function with what it wants; returns what it was resumed with."""


class Pausable(Generic[T]):
    """`resume` lets the function run; `wait` blocks until it pauses, returns or raises, once for each.

    The split lets several functions run at once between two waits.
    """

    def __init__(self, body: Callable[[Pause], T], name: str) -> None:
        self._body = body
        self._inbox: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()
        self._outbox: SimpleQueue[Paused | Returned[T] | Raised] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._ended = False

    def start(self) -> None:
        self._thread.start()

    def resume(self, value: Any = None) -> None:
        self._inbox.put((value, None))

    def throw(self, error: BaseException) -> None:
        """Resumes with an exception, raised where the function stands."""
        self._inbox.put((None, error))

    def wait(self) -> Paused | Returned[T] | Raised:
        if self._ended:
            raise RuntimeError("what has ended will not pause again")
        event = self._outbox.get()
        self._ended = not isinstance(event, Paused)
        return event

    def abandon(self) -> None:
        """Unwinds a paused function and waits until its thread has ended. Idempotent."""
        if not self._ended and self._thread.ident is not None:
            self._ended = True
            self.throw(Abandoned())
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        try:
            result: Returned[T] | Raised = Returned(self._body(self._pause))
        except BaseException as error:
            result = Raised(error)
        del self._body
        self._outbox.put(result)

    def _pause(self, wanted: Any) -> Any:
        self._outbox.put(Paused(wanted))
        value, error = self._inbox.get()
        if error is not None:
            raise error
        return value

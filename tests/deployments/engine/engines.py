"""What tests of the engine share: requests, and denoisers that are held still."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from deployments.engine.engine import StepEngine
from deployments.engine.fakes import FakeRequest, FakeState
from deployments.engine.jobs import Ask, Finished
from deployments.engine.work import Shape

SHAPE, OTHER = Shape(512, 512), Shape(1024, 1024)
WAIT_S = 10.0

Engine = StepEngine[FakeRequest, FakeState, str]
MakeEngine = Callable[..., Engine]


def ask(name: str, steps: int = 3, shape: Shape = SHAPE, **options: Any) -> Ask[FakeRequest, str]:
    fake = {key: options.pop(key) for key in ("fails_at", "poisons") if key in options}
    return Ask(FakeRequest(name, shape, steps, **fake), shape, steps, **options)


def result(submitted: "tuple[int, Future[Finished[str]]]") -> Finished[str]:
    return submitted[1].result(WAIT_S)


class Gate:
    """Holds a denoiser's `wait` until it is opened; `reached` tells that it is being held."""

    def __init__(self) -> None:
        self.reached, self._open = threading.Event(), threading.Event()

    def __call__(self, seconds: float) -> None:
        if seconds:
            self.reached.set()
            assert self._open.wait(WAIT_S)

    def open(self) -> None:
        self._open.set()


def until(condition: Callable[[], bool]) -> None:
    give_up_s = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < give_up_s
        time.sleep(0)

"""What is submitted to the engine, and what comes back."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from deployments.engine.desk import Entry
from deployments.engine.work import Shape

Request = TypeVar("Request")
Output = TypeVar("Output")


@dataclass(frozen=True, slots=True)
class Previews(Generic[Output]):
    """`count` previews at equal distances before the end; `show` gets index (from 0) and picture."""

    count: int
    show: Callable[[int, Output], None]


@dataclass(frozen=True, slots=True)
class Ask(Generic[Request, Output]):
    """What is submitted. `steps` is the expected number of denoiser calls, before preparing tells it."""

    request: Request
    shape: Shape
    steps: int
    deadline_s: float | None = None
    steady: bool = False
    background: bool = False
    previews: Previews[Output] | None = None


@dataclass(frozen=True, slots=True)
class Finished(Generic[Output]):
    """`entry` holds the times and batches; it changes no more."""

    output: Output
    entry: Entry
    decoded_s: float

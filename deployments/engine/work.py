"""The words of the step engine: what stands in its queue, and what it decided to do next.

Times are seconds of one monotonic clock, whichever the engine was given.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


@dataclass(frozen=True, slots=True, order=True)
class Shape:
    """What two requests must have in common to share a denoiser call.

    `width` and `height` in pixels. `guided`: classifier-free guidance doubles the rows. `variant` names
    whatever else changes the weights or the call: an adapter (LoRA), another kind of edit.
    """

    width: int
    height: int
    guided: bool = True
    variant: str = ""

    def __str__(self) -> str:
        parts = [f"{self.width}x{self.height}", "guided" if self.guided else "", self.variant]
        return "+".join(part for part in parts if part)


@dataclass(frozen=True, slots=True)
class Standing:
    """One request at a step boundary. `number` counts arrivals; `steps_left` is at least 1.

    Without a deadline, `deadline_s` is None. `steady`: the pixels must not depend on the neighbours.
    `alone`: a call that held it failed, and it shares no more until
    one of its own succeeds. `refusable`: predictions are good enough to refuse it by. `background`: nobody
    waits for it, so it has the longer patience.
    """

    number: int
    shape: Shape
    steps_left: int
    arrived_s: float
    deadline_s: float | None = None
    steady: bool = False
    steps_done: int = 0
    alone: bool = False
    refusable: bool = True
    background: bool = False
    cancelled: bool = False

    @property
    def steps(self) -> int:
        return self.steps_done + self.steps_left


class Costs(Protocol):
    """What a plan may ask about time and memory. Times are >= 0, and 0 where nothing is known."""

    def step_s(self, shape: Shape, batch: int) -> float:
        """Predicted time of one denoiser call over `batch` requests."""
        ...

    def decode_s(self, shape: Shape) -> float:
        """Predicted time from the last step to the image."""
        ...

    def cap(self, shape: Shape) -> int:
        """The most requests that may share a call; at least 1."""
        ...


class Order(StrEnum):
    """Who leads the next batch. ARRIVAL sheds no load and guards no deadline: the plain baseline."""

    DEADLINE = "deadline"
    SLACK = "slack"
    ARRIVAL = "arrival"


@dataclass(frozen=True, slots=True)
class Rules:
    """`patience_s`: a request without a deadline is ordered as if it were due that long after it came;
    `background_patience_s` for those that nobody waits for. `yields_ratio`: it leaves a batch for the sake of
    shorter ones until that many times as long has passed as its own steps take alone; after that the first of
    those that have waited so long keeps its place, the others take what is left.

    `steady_width`: a batch that holds a steady request is padded to this many requests, always.
    """

    order: Order = Order.DEADLINE
    patience_s: float = 30.0
    background_patience_s: float = 300.0
    yields_ratio: float = 1.0
    steady_width: int = 4


@dataclass(frozen=True, slots=True)
class Refusal:
    """`number` cannot meet its deadline: its image is predicted `predicted_s` from now."""

    number: int
    predicted_s: float


@dataclass(frozen=True, slots=True)
class Batch:
    """The next denoiser call. `width` is how many requests it is padded to, None for no padding."""

    shape: Shape
    numbers: tuple[int, ...]
    width: int | None = None

    @property
    def rows(self) -> int:
        """Requests the denoiser computes, padding included."""
        return self.width or len(self.numbers)


@dataclass(frozen=True, slots=True)
class Plan:
    batch: Batch | None
    refused: Sequence[Refusal] = ()

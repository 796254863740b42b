"""What a criterion looks at, and what it answers. Knows neither files nor thresholds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
"""RGBA, height × width × 4, alpha not multiplied in."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One answer. `pixels` as shown; `has_alpha` says whether the file has an alpha channel at all. Times
    in milliseconds."""

    pixels: Pixels
    has_alpha: bool
    file_bytes: int
    latency_ms: float = 0.0
    gpu_s: float = 0.0
    cost_usd: float = 0.0
    substituted: bool = False


@dataclass(frozen=True, slots=True)
class Subject:
    """All answers of one candidate to one question: the same prompt and seed. `pictures` were asked for
    beside others and the first is the one that counts; `alone` was asked for while nothing else was.
    `palette` are sRGB colours."""

    pictures: Sequence[Picture]
    alone: Picture | None = None
    text: str | None = None
    palette: Sequence[tuple[int, int, int]] = ()
    size: tuple[int, int] | None = None

    @property
    def first(self) -> Picture:
        return self.pictures[0]

    def others(self) -> list[tuple[str, Picture]]:
        """What must equal the first picture, each with its name."""
        named = [(f"repeat {number}", each) for number, each in enumerate(self.pictures[1:], 1)]
        return named + ([("alone", self.alone)] if self.alone is not None else [])


@dataclass(frozen=True, slots=True)
class Measured:
    """`note` says what a person would want to know of a miss."""

    value: float
    note: str = ""


@dataclass(frozen=True, slots=True)
class Criterion:
    """`measure` must be a pure function; it returns None where the criterion says nothing, such as of
    legibility where no text was asked for. A picture passes from `least` to `most`, both included, unless
    the audit says otherwise. `calls_for_fix`: whether somebody has to mend a picture that misses it."""

    name: str
    unit: str
    measure: Callable[[Subject], Measured | None]
    least: float | None = None
    most: float | None = None
    calls_for_fix: bool = True


def on_white(pixels: Any) -> NDArray[np.uint8]:
    """RGB, as the picture looks on a white page."""
    colours = np.asarray(pixels, np.float64)
    alpha = colours[..., 3:] / 255
    return np.rint(colours[..., :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)

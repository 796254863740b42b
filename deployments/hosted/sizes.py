"""Which sizes a provider makes, and how a wanted size is written for it.

A provider's image may be larger than what is wanted, never of another shape: it is scaled down to the wanted
size afterwards (pictures.py). Pure; knows no provider by name.
"""

from dataclasses import dataclass
from math import ceil, sqrt
from typing import Protocol

SHAPE_TOLERANCE = 0.01
"""How far the ratio of width to height may be off, relatively: 736x1312 counts as 9:16. What is too much is
cut off evenly at two edges, at most this share of a side."""


class SizeRule(Protocol):
    """Sizes are in pixels."""

    def sent(self, width: int, height: int) -> str | None:
        """What is sent for an image of this size, None when the provider cannot make it."""
        ...

    @property
    def described(self) -> str:
        """What it makes, as the end of a sentence: `makes ...`."""
        ...


@dataclass(frozen=True, slots=True)
class AnySize:
    """Up to `max_pixels`; None: the server decides."""

    max_pixels: int | None = None

    def sent(self, width: int, height: int) -> str | None:
        if self.max_pixels is not None and width * height > self.max_pixels:
            return None
        return f"{width}x{height}"

    @property
    def described(self) -> str:
        return f"images of up to {self.max_pixels} pixels"


@dataclass(frozen=True, slots=True)
class ListedSizes:
    """The smallest listed size of the same shape that is no smaller on either side.

    `prefix` and `separator` are how the provider writes one: RESOLUTION_1024_1024.
    """

    sizes: tuple[tuple[int, int], ...]
    prefix: str = ""
    separator: str = "x"

    def sent(self, width: int, height: int) -> str | None:
        fitting = [
            size
            for size in self.sizes
            if size[0] >= width and size[1] >= height and same_shape(size, (width, height))
        ]
        if not fitting:
            return None
        best = min(fitting, key=lambda size: size[0] * size[1])
        return f"{self.prefix}{best[0]}{self.separator}{best[1]}"

    @property
    def described(self) -> str:
        return f"{_shortened([f'{w}x{h}' for w, h in self.sizes])} and smaller images of these shapes"


@dataclass(frozen=True, slots=True)
class Shapes:
    """Aspect ratios whose pixel sizes the provider does not publish. `max_pixels` is what it is trusted to
    make of each; the image that comes is scaled to the wanted size."""

    ratios: tuple[tuple[int, int], ...]
    prefix: str
    separator: str
    max_pixels: int

    def sent(self, width: int, height: int) -> str | None:
        if width * height > self.max_pixels:
            return None
        for ratio in self.ratios:
            if same_shape(ratio, (width, height)):
                return f"{self.prefix}{ratio[0]}{self.separator}{ratio[1]}"
        return None

    @property
    def described(self) -> str:
        ratios = _shortened([f"{w}:{h}" for w, h in self.ratios])
        return f"images of up to {self.max_pixels} pixels in the ratios {ratios}"


@dataclass(frozen=True, slots=True)
class SteppedSizes:
    """Sides are multiples of `step` up to `max_side`, none more than `max_ratio` times the other, with
    `min_pixels` to `max_pixels` in all. A smaller image is made larger, in its shape."""

    step: int
    max_side: int
    max_ratio: float
    min_pixels: int
    max_pixels: int

    def sent(self, width: int, height: int) -> str | None:
        least = max(1.0, sqrt(self.min_pixels / (width * height)))
        for sent_width in range(ceil(width * least / self.step) * self.step, self.max_side + 1, self.step):
            exact = sent_width * height / width
            for sent_height in (int(exact) // self.step * self.step, ceil(exact / self.step) * self.step):
                size = sent_width, sent_height
                if sent_height >= height and self._makes(size) and same_shape(size, (width, height)):
                    return f"{sent_width}x{sent_height}"
        return None

    def _makes(self, size: tuple[int, int]) -> bool:
        return (
            max(size) <= self.max_side
            and max(size) <= self.max_ratio * min(size)
            and self.min_pixels <= size[0] * size[1] <= self.max_pixels
        )

    @property
    def described(self) -> str:
        return (
            f"up to {self.max_pixels} pixels, sides up to {self.max_side}, "
            f"neither more than {self.max_ratio:g} times the other"
        )


def same_shape(size: tuple[int, int], wanted: tuple[int, int]) -> bool:
    return abs(size[0] * wanted[1] / (size[1] * wanted[0]) - 1) <= SHAPE_TOLERANCE


def _shortened(names: list[str], shown: int = 6) -> str:
    more = len(names) - shown
    return ", ".join(names[:shown]) + (f" and {more} more" if more > 0 else "")

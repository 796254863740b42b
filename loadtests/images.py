"""Are the images what was asked for? Decodes a share of them beside the run, not in its way.

Checks that an image decodes, has the size that was asked for, and has the same pixels as an earlier one
of the same prompt, size and seed from the same model. Knows nothing of how images came here.
"""

import base64
import binascii
import hashlib
import io
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from PIL import Image, UnidentifiedImageError

from loadtests.observation import Observation

SVG = "svg"
_MAX_WAITING = 256


@dataclass(slots=True)
class ImageChecks:
    """Counts of images. `skipped` were due for a check that the machine had no time for."""

    checked: int = 0
    undecodable: int = 0
    wrong_size: int = 0
    unequal: int = 0
    skipped: int = 0
    pixels: dict[str, str] = field(default_factory=dict)

    @property
    def invalid(self) -> int:
        return self.undecodable + self.wrong_size + self.unequal

    def add(self, other: "ImageChecks") -> None:
        self.checked += other.checked
        self.undecodable += other.undecodable
        self.wrong_size += other.wrong_size
        self.unequal += other.unequal
        self.skipped += other.skipped
        for key, digest in other.pixels.items():
            self.unequal += self.pixels.setdefault(key, digest) != digest

    def check(self, seen: Observation) -> None:
        """Checks every image of an answer."""
        for position, text in enumerate(seen.answer.images):
            self.checked += 1
            decoded = _decode(text)
            if decoded is None:
                self.undecodable += 1
                continue
            size, digest = decoded
            asked = seen.call.shot.size
            if asked not in (None, "auto", f"{size[0]}x{size[1]}"):
                self.wrong_size += 1
            key = _same_pixels_key(seen, position)
            if key is not None:
                self.unequal += self.pixels.setdefault(key, digest) != digest


class ImageChecker:
    """Checks `ratio` of the answers in a thread of its own. Used as a context; `checks` is final after it."""

    def __init__(self, ratio: float) -> None:
        self.checks = ImageChecks()
        self._ratio = ratio
        self._debt = 0.0
        self._waiting: list[Future[None]] = []
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="image-checker")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True)
        for check in self._waiting:
            check.result()

    def offer(self, seen: Observation) -> None:
        if not seen.answer.ok or seen.call.shot.output_format == SVG:
            return
        self._debt += self._ratio
        if self._debt < 1:
            return
        self._debt -= 1
        self._waiting = [check for check in self._waiting if not check.done() or check.exception()]
        if len(self._waiting) >= _MAX_WAITING:
            self.checks.skipped += 1
        else:
            self._waiting.append(self._pool.submit(self.checks.check, seen))


def _decode(text: str) -> tuple[tuple[int, int], str] | None:
    try:
        with Image.open(io.BytesIO(base64.b64decode(text, validate=True))) as image:
            pixels = image.convert("RGBA")
    except (binascii.Error, UnidentifiedImageError, OSError, ValueError, SyntaxError):
        return None
    return pixels.size, hashlib.sha256(pixels.tobytes()).hexdigest()


def _same_pixels_key(seen: Observation, position: int) -> str | None:
    """What must give the same pixels, None where nothing was promised: no seed, or another model answered."""
    call, answer = seen.call, seen.answer
    if call.seed is None or answer.substituted or answer.rung:
        return None
    return repr((call.shot.name, call.prompt, call.seed, answer.model, position))

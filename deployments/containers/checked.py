"""What every reader of a container needs: limits, the answer, the refusal."""

from dataclasses import dataclass
from typing import Final

from deployments.types import ImageFormat

MOST_PARTS: Final = 20_000
"""Chunks or segments in a file. 16 MiB of PNG in pieces of 1 KiB have 16,000; a file of a million empty ones
would cost half a second."""


@dataclass(frozen=True, slots=True)
class UploadLimits:
    """`max_pixels` of 8 million is a 4K frame: 32 MB once decoded to RGBA."""

    max_bytes: int = 16 << 20
    max_pixels: int = 3840 * 2160
    max_side: int = 8192

    def check_size(self, width: int, height: int) -> None:
        """Raises Refused."""
        if width < 1 or height < 1:
            raise Refused("has no pixels")
        if max(width, height) > self.max_side or width * height > self.max_pixels:
            most = f"{self.max_pixels} pixels and sides of {self.max_side}"
            raise Refused(f"is {width}x{height}; at most {most} are accepted")


@dataclass(frozen=True, slots=True)
class Checked:
    """What the container says, and the bytes that may be decoded."""

    format: ImageFormat
    width: int
    height: int
    decodable: bytes


class Refused(Exception):
    """Says what is wrong, as the end of a sentence that names the field."""


def check_parts(count: int) -> None:
    """Raises Refused for a container of more parts than a picture has."""
    if count > MOST_PARTS:
        raise Refused(f"is made of more than {MOST_PARTS} parts: save it again")

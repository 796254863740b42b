"""Marks in files of any format that is made here. The type of a file comes from its content."""

import hashlib
import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import replace
from enum import StrEnum
from typing import Final, Protocol, TypeVar

from PIL import Image

from deployments import images
from deployments.containers.png import SIGNATURE
from deployments.provenance import jpeg, png, svg, webp
from deployments.provenance.mark import Mark, Unreadable
from deployments.types import EncodedImage, ImageFormat, Pixels


class _Format(Protocol):
    """What the module of a format has."""

    def embed(self, data: bytes, mark: Mark) -> bytes: ...

    def read(self, data: bytes) -> Mark: ...

    def strip(self, data: bytes) -> bytes: ...


_FORMATS: Final[Mapping[ImageFormat, _Format]] = {
    ImageFormat.PNG: png,
    ImageFormat.JPEG: jpeg,
    ImageFormat.WEBP: webp,
    ImageFormat.SVG: svg,
}
_SVG: Final = re.compile(rb"\s*(<\?xml[^>]*\?>\s*)?(<!--.*?-->\s*)*<svg[\s>]", re.DOTALL)


class Integrity(StrEnum):
    """What became of a file since it was written: nothing, it was written again with the same pixels, or it
    was written again and its pixels are others, or in a format that does not keep them exactly."""

    AS_WRITTEN = "as_written"
    SAME_PIXELS = "same_pixels"
    CHANGED = "changed"


def embed(image: EncodedImage, mark: Mark) -> EncodedImage:
    """The same pixels with the mark. A file that says itself where it comes from is left as it is."""
    return replace(image, data=_FORMATS[image.format].embed(image.data, mark))


def read(data: bytes) -> Mark:
    """What the file says, which may be nothing. Raises Unreadable for a damaged file, or no picture."""
    return _sound(_FORMATS[format_of(data)].read, data)


def strip(data: bytes) -> bytes:
    """The file as it was before `embed`. Raises Unreadable."""
    return _sound(_FORMATS[format_of(data)].strip, data)


def format_of(data: bytes) -> ImageFormat:
    """Raises Unreadable."""
    if data.startswith(SIGNATURE):
        return ImageFormat.PNG
    if data.startswith(b"\xff\xd8\xff"):
        return ImageFormat.JPEG
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return ImageFormat.WEBP
    if _SVG.match(data.removeprefix(b"\xef\xbb\xbf")):
        return ImageFormat.SVG
    raise Unreadable("is not a PNG, JPEG, WebP or SVG picture")


def integrity(data: bytes, file_sha256: str | None, pixels_sha256: str | None) -> Integrity:
    """`file_sha256` is of the file without its mark. Raises Unreadable."""
    if hashlib.sha256(strip(data)).hexdigest() == file_sha256:
        return Integrity.AS_WRITTEN
    if format_of(data) is not ImageFormat.SVG and images.sha256(_decoded(data)) == pixels_sha256:
        return Integrity.SAME_PIXELS
    return Integrity.CHANGED


Found = TypeVar("Found")


def _sound(reader: Callable[[bytes], Found], data: bytes) -> Found:
    try:
        return reader(data)
    except (struct.error, IndexError):
        raise Unreadable("is damaged or cut off") from None


def _decoded(data: bytes) -> Pixels:
    try:
        return images.decode(data)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise Unreadable(f"cannot be decoded ({type(error).__name__})") from None

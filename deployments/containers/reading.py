"""From bytes to the reader of their container. The type comes from the content."""

from collections.abc import Callable
from typing import Final

from deployments.containers.checked import Checked, Refused, UploadLimits
from deployments.containers.jpeg import read_jpeg
from deployments.containers.png import SIGNATURE, read_png
from deployments.containers.webp import read_webp

_OTHER_TYPES: Final = (
    (b"GIF8", "a GIF"),
    (b"BM", "a BMP"),
    (b"II*\0", "a TIFF"),
    (b"MM\0*", "a TIFF"),
    (b"\0\0\1\0", "an icon file"),
    (b"%PDF", "a PDF"),
    (b"<svg", "an SVG"),
    (b"<?xml", "an XML file"),
    (b"PK\x03\x04", "an archive"),
)


def read_container(data: bytes, limits: UploadLimits) -> Checked:
    """Raises Refused; or struct.error, IndexError or zlib.error where a field itself is cut off."""
    return _reader(data)(data, limits)


def _reader(data: bytes) -> Callable[[bytes, UploadLimits], Checked]:
    if data.startswith(SIGNATURE):
        return read_png
    if data.startswith(b"\xff\xd8\xff"):
        return read_jpeg
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return read_webp
    found = next((name for start, name in _OTHER_TYPES if data.startswith(start)), None)
    if data[4:8] == b"ftyp":
        found = "an HEIC, AVIF or video file"
    what = "is empty" if not data else f"is {found}" if found else "is not an image file"
    raise Refused(f"{what}: send PNG, JPEG or WebP")

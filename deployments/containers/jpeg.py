"""JPEG (ITU-T T.81): markers, of which SOF gives the size, SOS starts entropy-coded data, EOI ends it."""

import re
import struct
from typing import Final

from deployments.containers.checked import Checked, Refused, UploadLimits, check_parts
from deployments.types import ImageFormat

_KEPT_APPS: Final = (0xE0, 0xE1, 0xEE)
"""JFIF, EXIF (for the orientation) and Adobe (for the colour transform)."""
_SIZES: Final = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_MOST_SCANS: Final = 64
"""Usual progressive files have ten. Each scan costs a pass over all pixels: thousands are an attack."""
_MARKER: Final = re.compile(rb"\xff++([^\0\xff])")
"""A marker with the fill bytes before it. Possessive, and below behind no other FF: a long run of FF is read
once, not once from each of its bytes."""
_AFTER_SCAN: Final = re.compile(rb"(?<!\xff)\xff++[^\0\xff\xd0-\xd7]")
"""FF00 is a coded byte, and FFD0 to FFD7 are restarts inside the data."""


def read_jpeg(data: bytes, limits: UploadLimits) -> Checked:
    """What is behind the end of the picture is left out: cameras keep previews and films there."""
    kept, size, scans, parts, place = [data[:2]], (0, 0), 0, 0, 2
    while True:
        check_parts(parts := parts + 1)
        found = _MARKER.match(data, place)
        if found is None:
            raise Refused("is damaged or cut off")
        marker, place = found[1][0], found.end() - 2
        if marker == 0xD9:
            break
        (length,) = struct.unpack_from(">H", data, place + 2)
        end = place + 2 + length
        if marker in _SIZES:
            if size != (0, 0):
                raise Refused("is damaged: it has two sizes")
            size = _size(data, place, limits)
        if marker == 0xDA:
            scans += 1
            end = _after_scan(data, end)
        is_metadata = 0xE0 <= marker <= 0xEF or marker == 0xFE
        if not is_metadata or marker in _KEPT_APPS:
            kept.append(data[place:end])
        place = end
    if size == (0, 0) or not 0 < scans <= _MOST_SCANS:
        raise Refused("is damaged: it has no picture, or too many scans of it")
    return Checked(ImageFormat.JPEG, *size, b"".join([*kept, b"\xff\xd9"]))


def _size(data: bytes, place: int, limits: UploadLimits) -> tuple[int, int]:
    depth, height, width, channels = struct.unpack_from(">BHHB", data, place + 4)
    limits.check_size(width, height)
    if depth != 8 or channels not in (1, 3):
        raise Refused("has CMYK colours or more than 8 bits a channel: send 8-bit RGB or grey")
    return width, height


def _after_scan(data: bytes, place: int) -> int:
    """Where the marker behind entropy-coded data is."""
    found = _AFTER_SCAN.search(data, place)
    if found is None:
        raise Refused("is damaged or cut off")
    return found.start()

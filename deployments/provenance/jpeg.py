"""JPEG: XMP in an APP1 segment (XMP specification part 3, 1.1.3)."""

import struct
from collections.abc import Iterator
from typing import Final

from deployments.provenance import xmp
from deployments.provenance.mark import Mark, Unreadable

_XMP: Final = b"http://ns.adobe.com/xap/1.0/\0"
_APP0, _APP1, _START_OF_SCAN, _END_OF_IMAGE = 0xE0, 0xE1, 0xDA, 0xD9
_MOST_PACKET_BYTES: Final = 0xFFFF - 2 - len(_XMP)
"""A segment's length has two bytes, and counts itself."""


def embed(data: bytes, mark: Mark) -> bytes:
    """Behind JFIF and EXIF, which must come first. A receipt that does not fit into a segment is left out; a
    file with XMP is returned as it is."""
    place = 2
    for marker, start, end in _segments(data):
        if _is_xmp(data, marker, start):
            return data
        if marker in (_APP0, _APP1) and start == place:
            place = end
    packet = xmp.packet(mark)
    if len(packet) > _MOST_PACKET_BYTES:
        packet = xmp.packet(Mark(None, mark.source_type_uri))
    segment = struct.pack(">BBH", 0xFF, _APP1, 2 + len(_XMP) + len(packet)) + _XMP + packet
    return data[:place] + segment + data[place:]


def read(data: bytes) -> Mark:
    """Raises Unreadable."""
    for marker, start, end in _segments(data):
        if _is_xmp(data, marker, start):
            return xmp.read(data[start + 4 + len(_XMP) : end])
    return Mark(None)


def strip(data: bytes) -> bytes:
    """The file without XMP. Raises Unreadable."""
    for marker, start, end in _segments(data):
        if _is_xmp(data, marker, start):
            return data[:start] + data[end:]
    return data


def _is_xmp(data: bytes, marker: int, start: int) -> bool:
    return marker == _APP1 and data.startswith(_XMP, start + 4)


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, start and end of those before the pixels."""
    place = 2
    while place + 4 <= len(data):
        first, marker, length = struct.unpack_from(">BBH", data, place)
        if first != 0xFF:
            break
        if marker == 0xFF:  # fill
            place += 1
            continue
        if marker in (_START_OF_SCAN, _END_OF_IMAGE):
            return
        end = place + 2 + length
        if length < 2 or end > len(data):
            break
        yield marker, place, end
        place = end
    raise Unreadable("is damaged or cut off")

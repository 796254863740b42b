"""WebP (RFC 9649): XMP is the last chunk, and the first one, VP8X, says that it is there."""

import struct
from collections.abc import Iterable, Iterator
from typing import Final

from deployments.provenance import xmp
from deployments.provenance.mark import Mark, Unreadable

_XMP: Final = b"XMP "
_HAS_XMP, _HAS_ALPHA = 0x04, 0x10
"""Flags of VP8X."""
_FRAMES: Final = (b"VP8 ", b"VP8L")
"""Pictures that need no VP8X: a transparent VP8 has its ALPH beside it, a VP8L says itself that it is."""
_HEADER_BYTES: Final = 12
_ALPHA_BIT_OF_VP8L: Final = 28


def embed(data: bytes, mark: Mark) -> bytes:
    """A file of one frame gets the VP8X that it lacks. One with XMP is returned as it is."""
    chunks = list(_chunks(data))
    if any(kind == _XMP for kind, _ in chunks):
        return data
    if not chunks:
        raise Unreadable("is damaged: it has no picture")
    first_kind, first = chunks[0]
    if first_kind == b"VP8X":
        chunks[0] = first_kind, bytes([first[0] | _HAS_XMP]) + first[1:]
    else:
        chunks.insert(0, (b"VP8X", _canvas(first_kind, first)))
    chunks.append((_XMP, xmp.packet(mark)))
    return _file(chunks)


def read(data: bytes) -> Mark:
    """Raises Unreadable."""
    for kind, content in _chunks(data):
        if kind == _XMP:
            return xmp.read(content)
    return Mark(None)


def strip(data: bytes) -> bytes:
    """The file without XMP, and without a VP8X that nothing else needs. Raises Unreadable."""
    chunks = [(kind, content) for kind, content in _chunks(data) if kind != _XMP]
    if not chunks or chunks[0][0] != b"VP8X":
        return data
    (_, header), *rest = chunks
    if len(rest) == 1 and rest[0][0] in _FRAMES:
        return _file(rest)
    return _file([(b"VP8X", bytes([header[0] & ~_HAS_XMP]) + header[1:]), *rest])


def _canvas(kind: bytes, frame: bytes) -> bytes:
    """VP8X of a single frame: flags, 24 reserved bits, width - 1 and height - 1 in 24 bits each."""
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", frame, 1)
        width, height, flags = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF), _flags_of_lossless(frame)
    elif kind == b"VP8 ":
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", frame, 6))
        flags = 0
    else:
        raise Unreadable("is damaged: it does not begin with a picture")
    sides = int(width - 1).to_bytes(3, "little") + int(height - 1).to_bytes(3, "little")
    return bytes([flags | _HAS_XMP, 0, 0, 0]) + sides


def _file(chunks: Iterable[tuple[bytes, bytes]]) -> bytes:
    body = b"".join(
        kind + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)
        for kind, content in chunks
    )
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def _flags_of_lossless(frame: bytes) -> int:
    (bits,) = struct.unpack_from("<I", frame, 1)
    return _HAS_ALPHA if int(bits) >> _ALPHA_BIT_OF_VP8L & 1 else 0


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = _HEADER_BYTES
    while place + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, place)
        content = data[place + 8 : place + 8 + length]
        if len(content) < length:
            raise Unreadable("is damaged or cut off")
        yield kind, content
        place += 8 + length + length % 2

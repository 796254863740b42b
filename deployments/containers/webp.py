"""WebP (RFC 9649): RIFF chunks; VP8X, if there is one, comes first and has the flags."""

import struct
from collections.abc import Iterator
from typing import Final

from deployments.containers.checked import Checked, Refused, UploadLimits, check_parts
from deployments.types import ImageFormat

_KEPT: Final = (b"VP8X", b"ALPH", b"VP8 ", b"VP8L")
_HEADER_BYTES: Final = 8
_ANIMATED, _HAS_ALPHA = 0x02, 0x10
"""Flags of VP8X."""


def read_webp(data: bytes, limits: UploadLimits) -> Checked:
    (riff_bytes,) = struct.unpack_from("<I", data, 4)
    behind = len(data) - _HEADER_BYTES - riff_bytes
    if behind < 0:
        raise Refused("is damaged or cut off")
    if behind > 1:  # one may be padding
        raise Refused(f"has {behind} bytes behind its end: save it again")
    chunks: dict[bytes, bytes] = {}
    for kind, body in _chunks(data[: _HEADER_BYTES + riff_bytes]):
        if kind in _KEPT and kind in chunks:
            raise Refused("is damaged: it has more than one picture")
        chunks[kind] = body
    if b"ANIM" in chunks or b"ANMF" in chunks or (b"VP8X" in chunks and chunks[b"VP8X"][0] & _ANIMATED):
        raise Refused("is animated: send one picture")
    if b"VP8X" in chunks:
        low_width, high_width, low_height, high_height = struct.unpack_from("<HBHB", chunks[b"VP8X"], 4)
        limits.check_size(1 + low_width + (high_width << 16), 1 + low_height + (high_height << 16))
    width, height = _frame_size(chunks)
    limits.check_size(width, height)
    return Checked(ImageFormat.WEBP, width, height, _kept(chunks))


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    place, count = 12, 0
    while place + _HEADER_BYTES <= len(data):
        check_parts(count := count + 1)
        kind, length = struct.unpack_from("<4sI", data, place)
        end = place + _HEADER_BYTES + length
        if end > len(data):
            raise Refused("is damaged or cut off")
        yield kind, data[place + _HEADER_BYTES : end]
        place = end + length % 2


def _frame_size(chunks: dict[bytes, bytes]) -> tuple[int, int]:
    if b"VP8L" in chunks and b"VP8 " in chunks:
        raise Refused("is damaged: it has more than one picture")
    if b"VP8L" in chunks:
        (bits,) = struct.unpack_from("<I", chunks[b"VP8L"], 1)
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if b"VP8 " in chunks:
        width, height = struct.unpack_from("<HH", chunks[b"VP8 "], 6)
        return width & 0x3FFF, height & 0x3FFF
    raise Refused("is damaged: it has no picture")


def _kept(chunks: dict[bytes, bytes]) -> bytes:
    """The file without its metadata, and without the flags that announce them."""
    if b"VP8X" in chunks:
        canvas = chunks[b"VP8X"]
        chunks = {**chunks, b"VP8X": bytes([canvas[0] & _HAS_ALPHA]) + canvas[1:]}
    kept = b"".join(
        kind + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)
        for kind, body in chunks.items()
        if kind in _KEPT
    )
    return b"RIFF" + struct.pack("<I", len(kept) + 4) + b"WEBP" + kept

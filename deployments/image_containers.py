"""What PNG, JPEG and WebP containers say of the picture in them, read without decoding it.

Size, depth, frames and completeness. A decoder is then given only what it needs: text, profiles and other
metadata, in which bombs hide, are left out. Knows nothing of pixels.
"""

import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from deployments.types import ImageFormat


@dataclass(frozen=True, slots=True)
class UploadLimits:
    """`max_pixels` of 8 million is a 4K frame: 32 MB once decoded to RGBA."""

    max_bytes: int = 16 << 20
    max_pixels: int = 3840 * 2160
    max_side: int = 8192


@dataclass(frozen=True, slots=True)
class Checked:
    """What the container says, and the bytes that may be decoded."""

    format: ImageFormat
    width: int
    height: int
    decodable: bytes


class Refused(Exception):
    """Says what is wrong, as the end of a sentence that names the field."""


def read_container(data: bytes, limits: UploadLimits) -> Checked:
    """Raises Refused; or struct.error, IndexError or zlib.error where a field itself is cut off."""
    return _reader(data)(data, limits)


def _reader(data: bytes) -> Callable[[bytes, UploadLimits], Checked]:
    if data.startswith(_PNG_SIGNATURE):
        return _png
    if data.startswith(b"\xff\xd8\xff"):
        return _jpeg
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _webp
    found = next((name for start, name in _OTHER_TYPES if data[: len(start)] == start), None)
    if data[4:8] == b"ftyp":
        found = "an HEIC, AVIF or video file"
    what = "is empty" if not data else f"is {found}" if found else "is not an image file"
    raise Refused(f"{what}: send PNG, JPEG or WebP")


def _bounded(width: int, height: int, limits: UploadLimits) -> None:
    if width < 1 or height < 1:
        raise Refused("has no pixels")
    if max(width, height) > limits.max_side or width * height > limits.max_pixels:
        most = f"{limits.max_pixels} pixels and sides of {limits.max_side}"
        raise Refused(f"is {width}x{height}; at most {most} are accepted")


# PNG (W3C PNG Specification, 3rd edition): length, type, data, CRC; IHDR first, IEND last.

_PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_PNG_CHANNELS: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_PNG_KEPT: Final = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_ADAM7: Final = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)
"""Of each interlace pass: first column, first row, column step, row step."""


def _png(data: bytes, limits: UploadLimits) -> Checked:
    chunks = list(_png_chunks(data))
    if not chunks or chunks[0][0] != b"IHDR" or chunks[-1][0] != b"IEND":
        raise Refused("is damaged or cut off")
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", chunks[0][1])
    _bounded(width, height, limits)
    if colour not in _PNG_CHANNELS or depth not in (1, 2, 4, 8, 16):
        raise Refused("is damaged: it has no valid colour type")
    if depth == 16:
        raise Refused("has 16 bits a channel: send 8")
    if any(kind == b"acTL" for kind, _ in chunks):
        raise Refused("is animated: send one picture")
    bits = _PNG_CHANNELS[colour] * depth
    _inflates_to(
        [body for kind, body in chunks if kind == b"IDAT"], _png_raw_bytes(width, height, bits, interlaced)
    )
    kept = b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
        if kind in _PNG_KEPT
    )
    return Checked(ImageFormat.PNG, width, height, _PNG_SIGNATURE + kept)


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = len(_PNG_SIGNATURE)
    while place < len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        body = data[place + 8 : place + 8 + length]
        (crc,) = struct.unpack_from(">I", data, place + 8 + length)
        if crc != zlib.crc32(kind + body):
            raise Refused("is damaged: a checksum is wrong")
        yield kind, body
        if kind == b"IEND":
            return
        place += 12 + length


def _png_raw_bytes(width: int, height: int, bits: int, interlaced: int) -> int:
    """Of all rows, each with its filter byte, before compression."""
    passes = _ADAM7 if interlaced else ((0, 0, 1, 1),)
    total = 0
    for left, top, step_x, step_y in passes:
        columns, rows = -(-(width - left) // step_x), -(-(height - top) // step_y)
        if columns > 0 and rows > 0:
            total += rows * (1 + -(-columns * bits // 8))
    return total


def _inflates_to(parts: list[bytes], expected: int) -> None:
    """Inflates without keeping anything: less than `expected` is cut off, far more is a bomb."""
    inflater, found = zlib.decompressobj(), 0
    for part in parts:
        pending = part
        while pending and not inflater.eof:
            found += len(inflater.decompress(pending, 1 << 16))
            pending = inflater.unconsumed_tail
            if found > expected + (1 << 16):
                raise Refused("is damaged: it holds more than its size says")
    if found < expected:
        raise Refused("is damaged or cut off")


# JPEG (ITU-T T.81): markers, of which SOF gives the size, SOS starts entropy-coded data, EOI ends it.

_JPEG_KEPT_APPS: Final = (0xE0, 0xE1, 0xEE)
"""JFIF, EXIF (for the orientation) and Adobe (for the colour transform)."""
_JPEG_SIZES: Final = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_MOST_SCANS: Final = 64
"""Usual progressive files have ten. Each scan costs a pass over all pixels: thousands are an attack."""


def _jpeg(data: bytes, limits: UploadLimits) -> Checked:
    kept, size, scans, place = [data[:2]], (0, 0), 0, 2
    while True:
        if data[place] != 0xFF:
            raise Refused("is damaged or cut off")
        marker = data[place + 1]
        if marker == 0xFF:
            place += 1
            continue
        if marker == 0xD9:
            break
        (length,) = struct.unpack_from(">H", data, place + 2)
        end = place + 2 + length
        if marker in _JPEG_SIZES:
            size = _jpeg_size(data, place, limits)
        if marker == 0xDA:
            scans += 1
            end = _after_entropy_coded(data, end)
        is_metadata = 0xE0 <= marker <= 0xEF or marker == 0xFE
        if not is_metadata or marker in _JPEG_KEPT_APPS:
            kept.append(data[place:end])
        place = end
    if size == (0, 0) or not 0 < scans <= _MOST_SCANS:
        raise Refused("is damaged: it has no picture, or too many scans of it")
    return Checked(ImageFormat.JPEG, *size, b"".join([*kept, b"\xff\xd9"]))


def _jpeg_size(data: bytes, place: int, limits: UploadLimits) -> tuple[int, int]:
    depth, height, width, channels = struct.unpack_from(">BHHB", data, place + 4)
    _bounded(width, height, limits)
    if depth != 8 or channels not in (1, 3):
        raise Refused("has CMYK colours or more than 8 bits a channel: send 8-bit RGB or grey")
    return width, height


def _after_entropy_coded(data: bytes, place: int) -> int:
    """Where the next marker is; FF00 is a coded byte and FFD0 to FFD7 are restarts inside the data."""
    while True:
        place = data.find(b"\xff", place)
        if place < 0:
            raise Refused("is damaged or cut off")
        if data[place + 1] != 0 and not 0xD0 <= data[place + 1] <= 0xD7:
            return place
        place += 2


# WebP (RFC 9649): RIFF chunks; VP8X, if there is one, comes first and has the flags.


def _webp(data: bytes, limits: UploadLimits) -> Checked:
    (riff_bytes,) = struct.unpack_from("<I", data, 4)
    if riff_bytes + 8 > len(data):
        raise Refused("is damaged or cut off")
    chunks = dict(_webp_chunks(data[: riff_bytes + 8]))
    if b"ANIM" in chunks or b"ANMF" in chunks or (b"VP8X" in chunks and chunks[b"VP8X"][0] & 0x02):
        raise Refused("is animated: send one picture")
    if b"VP8X" in chunks:
        low_width, high_width, low_height, high_height = struct.unpack_from("<HBHB", chunks[b"VP8X"], 4)
        _bounded(1 + low_width + (high_width << 16), 1 + low_height + (high_height << 16), limits)
    width, height = _webp_frame_size(chunks)
    _bounded(width, height, limits)
    if b"VP8X" in chunks:  # announces alpha only, now that metadata is left out
        chunks[b"VP8X"] = bytes([chunks[b"VP8X"][0] & 0x10]) + chunks[b"VP8X"][1:]
    kept = b"".join(
        kind + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)
        for kind, body in chunks.items()
        if kind in (b"VP8X", b"ALPH", b"VP8 ", b"VP8L")
    )
    return Checked(
        ImageFormat.WEBP, width, height, b"RIFF" + struct.pack("<I", len(kept) + 4) + b"WEBP" + kept
    )


def _riff(chunks: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", len(chunks) + 4) + b"WEBP" + chunks


def _webp_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = 12
    while place + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, place)
        if place + 8 + length > len(data):
            raise Refused("is damaged or cut off")
        yield kind, data[place + 8 : place + 8 + length]
        place += 8 + length + length % 2


def _webp_frame_size(chunks: dict[bytes, bytes]) -> tuple[int, int]:
    if b"VP8L" in chunks:
        (bits,) = struct.unpack_from("<I", chunks[b"VP8L"], 1)
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if b"VP8 " in chunks:
        width, height = struct.unpack_from("<HH", chunks[b"VP8 "], 6)
        return width & 0x3FFF, height & 0x3FFF
    raise Refused("is damaged: it has no picture")


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

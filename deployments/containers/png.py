"""PNG (W3C PNG Specification, 3rd edition): chunks of length, type, data and CRC."""

import re
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from deployments.containers.checked import Checked, Refused, UploadLimits, check_parts
from deployments.types import ImageFormat

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_CHANNELS: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_DEPTHS: Final = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
"""Bits a channel, by colour type: grey, RGB, palette, grey and alpha, RGBA."""
_KEPT: Final = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_LETTERS: Final = {b"IHDR": "H", b"PLTE": "P", b"tRNS": "t", b"IDAT": "D", b"IEND": "E"}
_ORDER: Final = re.compile(r"Ho*(Po*)?(to*)?D+o*E")
"""Of the chunks, by letter: each once but for the pixels, which stand together; `o` are other ones."""
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
_MOST_METADATA_BYTES: Final = 4 << 20
_PIECE_BYTES: Final = 1 << 16


class Chunk(NamedTuple):
    """Type, data, and all of it as it stands in the file. Nothing is copied: most of a file is pixels."""

    kind: bytes
    body: memoryview
    whole: memoryview


def read_png(data: bytes, limits: UploadLimits) -> Checked:
    chunks = list(_chunks(data))
    if any(chunk.kind == b"acTL" for chunk in chunks):
        raise Refused("is animated: send one picture")
    if _ORDER.fullmatch("".join(_letter(chunk.kind) for chunk in chunks)) is None:
        raise Refused("is damaged or cut off: its chunks are not those of a PNG")
    header = struct.unpack(">IIBBBBB", chunks[0].body)
    width, height, depth, colour, compression, filtering, interlaced = header
    limits.check_size(width, height)
    if depth not in _DEPTHS.get(colour, ()) or compression or filtering or interlaced > 1:
        raise Refused("is damaged: it has no valid colour type")
    if depth == 16:
        raise Refused("has 16 bits a channel: send 8")
    _check_colours(colour, depth, {chunk.kind: chunk.body for chunk in chunks})
    bits = _CHANNELS[colour] * depth
    pixels = (chunk.body for chunk in chunks if chunk.kind == b"IDAT")
    _check_pixels(pixels, _raw_bytes(width, height, bits, bool(interlaced)))
    _check_metadata(chunks)
    return Checked(ImageFormat.PNG, width, height, _kept(chunks))


def _chunks(data: bytes) -> Iterator[Chunk]:
    view, place, count = memoryview(data), len(SIGNATURE), 0
    while place < len(data):
        check_parts(count := count + 1)
        length, kind = struct.unpack_from(">I4s", data, place)
        body = view[place + 8 : place + 8 + length]
        (crc,) = struct.unpack_from(">I", data, place + 8 + length)
        if crc != zlib.crc32(body, zlib.crc32(kind)):
            raise Refused("is damaged: a checksum is wrong")
        end = place + 12 + length
        yield Chunk(kind, body, view[place:end])
        place = end
        if kind == b"IEND" and place < len(data):
            raise Refused(f"has {len(data) - place} bytes behind its end: save it again")


def _kept(chunks: Iterable[Chunk]) -> bytes:
    """The file without its metadata."""
    return b"".join([SIGNATURE, *(chunk.whole for chunk in chunks if chunk.kind in _KEPT)])


def _letter(kind: bytes) -> str:
    """`?` is a chunk that a decoder must understand (its first letter is a capital), and no decoder does."""
    return _LETTERS.get(kind) or ("o" if kind[0] & 0x20 else "?")


def _check_colours(colour: int, depth: int, chunks: Mapping[bytes, memoryview]) -> None:
    """Raises Refused for a palette, or transparency, that does not fit the colour type."""
    palette, transparency = chunks.get(b"PLTE"), chunks.get(b"tRNS")
    colours = 0 if palette is None else len(palette) // 3
    if colour == 3 and not 1 <= colours <= 1 << depth:
        raise Refused("is damaged: it has no palette, or one of too many colours")
    if palette is not None and (len(palette) % 3 or colours > 256 or colour in (0, 4)):
        raise Refused("is damaged: its palette is not one")
    fits = {0: (2,), 2: (6,), 3: range(colours + 1)}.get(colour, ())
    if transparency is not None and len(transparency) not in fits:
        raise Refused("is damaged: its transparency does not fit its colours")


def _raw_bytes(width: int, height: int, bits: int, interlaced: bool) -> int:
    """Of all rows, each with its filter byte, before compression."""
    passes = _ADAM7 if interlaced else ((0, 0, 1, 1),)
    total = 0
    for left, top, step_x, step_y in passes:
        columns, rows = -(-(width - left) // step_x), -(-(height - top) // step_y)
        if columns > 0 and rows > 0:
            total += rows * (1 + -(-columns * bits // 8))
    return total


def _check_pixels(parts: Iterable[memoryview], expected: int) -> None:
    """Inflates without keeping anything: less than `expected` is cut off, far more is a bomb."""
    found = _inflated_bytes(parts, expected + _PIECE_BYTES)
    if found > expected + _PIECE_BYTES:
        raise Refused("is damaged: it holds more than its size says")
    if found < expected:
        raise Refused("is damaged or cut off")


def _check_metadata(chunks: Iterable[Chunk]) -> None:
    """Raises Refused for text and profiles that would inflate to more than a picture has to say."""
    left = _MOST_METADATA_BYTES
    for chunk in chunks:
        compressed = _compressed(chunk.kind, chunk.body)
        if compressed is not None:
            left -= _inflated_bytes([compressed], left)
        if left < 0:
            raise Refused(f"has metadata of more than {_MOST_METADATA_BYTES} bytes: save it without")


def _compressed(kind: bytes, body: memoryview) -> bytes | None:
    """zTXt and iCCP have a name, 0, a method and data; iTXt a name, 0, a flag, a method, a language, 0, a
    translation, 0 and data."""
    if kind not in (b"zTXt", b"iCCP", b"iTXt"):
        return None
    _, _, rest = bytes(body).partition(b"\0")
    if kind == b"iTXt":
        return rest[2:].split(b"\0", 2)[-1] if rest[:1] == b"\1" else None
    return rest[1:]


def _inflated_bytes(parts: Iterable[bytes | memoryview], enough: int) -> int:
    """How many bytes a zlib stream holds; some number over `enough` as soon as it is clear that it has more.

    Raises zlib.error for what is no such stream.
    """
    inflater, found = zlib.decompressobj(), 0
    for part in parts:
        for start in range(0, len(part), _PIECE_BYTES):
            pending = part[start : start + _PIECE_BYTES]
            while pending and not inflater.eof:
                found += len(inflater.decompress(pending, _PIECE_BYTES))
                pending = inflater.unconsumed_tail
                if found > enough:
                    return found
    return found

"""What hostile pictures are put together from."""

import io
import struct
import zlib
from dataclasses import dataclass

import numpy as np
from PIL import Image

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, slots=True)
class Picture:
    """A file and what is wrong with it."""

    name: str
    data: bytes


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    target = io.BytesIO()
    image.save(target, kind, **options)
    return target.getvalue()


def noise(width: int, height: int, channels: int = 3) -> Image.Image:
    return Image.fromarray(np.random.default_rng(7).integers(0, 256, (height, width, channels), np.uint8))


def cut_off(name: str, file: bytes, places: int) -> list[Picture]:
    """The file without its end: cut at `places` places, the last of them before its last byte."""
    lengths = np.linspace(0, len(file) - 1, places + 1).astype(int)[1:]
    return [Picture(f"{name} cut off after {length} bytes", file[:length]) for length in lengths]


def chunk(kind: bytes, body: bytes = b"") -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def header(width: int, height: int, depth: int = 8, colour: int = 2, *methods: int) -> bytes:
    """IHDR. `methods`: compression, filter, interlace."""
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, *(methods or (0, 0, 0))))


def png(width: int, height: int, raw: bytes | None = None, *before: bytes, colour: int = 2) -> bytes:
    """Grey (0), RGB (2), palette (3) or RGBA (6) with the chunks `before` its pixels; black unless `raw`."""
    channels = {0: 1, 2: 3, 3: 1, 6: 4}[colour]
    raw = bytes(height * (1 + width * channels)) if raw is None else raw
    chunks = [
        header(width, height, 8, colour),
        *before,
        chunk(b"IDAT", zlib.compress(raw, 9)),
        chunk(b"IEND"),
    ]
    return PNG_SIGNATURE + b"".join(chunks)


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    """A WebP file of these chunks."""
    body = b"".join(
        kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2) for kind, data in chunks
    )
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def riff_chunks(file: bytes) -> list[tuple[bytes, bytes]]:
    found, place = [], 12
    while place + 8 <= len(file):
        kind, length = struct.unpack_from("<4sI", file, place)
        found.append((kind, file[place + 8 : place + 8 + length]))
        place += 8 + length + length % 2
    return found


def segment(marker: int, body: bytes) -> bytes:
    """Of a JPEG."""
    return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body

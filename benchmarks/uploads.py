"""What hostile uploads cost: `python -m benchmarks.uploads`.

200 files that must be refused: bombs, files cut off, wrong types, huge dimensions, odd modes. Bars: each is
refused within 200 ms, and resident memory grows by less than 50 MB. Beside it, as the baseline, what a good
file of the largest accepted size costs.
"""

import ctypes
import io
import random
import re
import struct
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image
from rich.table import Table

from benchmarks import tables
from deployments import uploads
from deployments.errors import InvalidRequest

FILES = 200
BAR_MS = 200.0
BAR_BYTES = 50_000_000


def main() -> bool:
    """False when a bar is missed."""
    largest = _saved(Image.fromarray(np.zeros((2160, 3840, 3), np.uint8)), "PNG")
    files = list(hostile_files())
    uploads.decode_image(_saved(Image.new("RGB", (8, 8)), "PNG"))
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    start_bytes = _resident_bytes("VmRSS")
    times_ms = [refused_ms(file) for file in files]
    grown_bytes = _resident_bytes("VmHWM") - start_bytes
    started = time.perf_counter()
    uploads.decode_image(largest)
    good_ms = (time.perf_counter() - started) * 1000
    table = Table("uploads", "files", "refused", "slowest ms", "memory MB")
    refused = sum(took is not None for took in times_ms)
    slowest_ms = max(took or 0.0 for took in times_ms)
    table.add_row("hostile", f"{len(files)}", f"{refused}", f"{slowest_ms:.1f}", f"{grown_bytes / 1e6:.1f}")
    table.add_row("good, 3840x2160 PNG", "1", "0", f"{good_ms:.1f}", "")
    tables.show(table)
    return refused == len(files) and slowest_ms <= BAR_MS and grown_bytes <= BAR_BYTES


def refused_ms(file: bytes) -> float | None:
    """None when the file was accepted."""
    started = time.perf_counter()
    try:
        uploads.decode_image(file)
    except InvalidRequest:
        return (time.perf_counter() - started) * 1000
    return None


def hostile_files() -> Iterator[bytes]:
    """The same files every time."""
    chance = random.Random(7)
    noise = Image.fromarray(np.random.default_rng(7).integers(0, 256, (900, 900, 3)).astype(np.uint8))
    good = [_saved(noise, "PNG"), _saved(noise, "JPEG"), _saved(noise, "WEBP", lossless=True, method=0)]
    frames = [Image.new("RGB", (64, 64), (level, 0, 0)) for level in (0, 90, 180)]
    odd = [
        *(_saved(noise.convert("CMYK"), "JPEG", quality=quality) for quality in (40, 90)),
        *(_saved(Image.fromarray(np.full((size, 9), size, np.uint16)), "PNG") for size in (3, 300)),
        *(
            _saved(frames[0], kind, save_all=True, append_images=frames[1:])
            for kind in ("PNG", "WEBP", "GIF")
        ),
        *(_saved(noise, kind) for kind in ("BMP", "TIFF", "PPM", "TGA")),
        b"",
        b"%PDF-1.7\n",
        b"<svg/>",
        bytes(5_000_000),
    ]
    yield from odd
    for number in range(FILES - len(odd)):
        match number % 4:
            case 0:
                file = chance.choice(good)
                yield file[: chance.randrange(len(file) - 2)]
            case 1:
                yield _png(chance.randint(9_000, 2**31), chance.randint(1, 2**31), b"")
            case 2:
                yield _png(chance.randint(1, 2_000), chance.randint(1, 2_000), bytes(60_000_000))
            case _:
                yield _png(chance.randint(1_000, 2_800), chance.randint(1_000, 2_800), bytes(1000))


def _png(width: int, height: int, raw: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(raw, 1)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


def _saved(image: Image.Image, kind: str, **options: object) -> bytes:
    target = io.BytesIO()
    image.save(target, kind, **options)
    return target.getvalue()


def _resident_bytes(field: str) -> int:
    """VmRSS: now. VmHWM: the most since the process began, or since clear_refs was written to."""
    found = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


if __name__ == "__main__":
    main()

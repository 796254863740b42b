"""PNG files that are not what they seem."""

import struct
import zlib

import numpy as np
from PIL import Image

from tests.serve.hostile.parts import PNG_SIGNATURE, Picture, chunk, cut_off, header, noise, png, saved

FRAMES = [Image.new("RGB", (16, 16), (level, 0, 0)) for level in (0, 90, 180)]
ROWS = bytes(8 * 25)
IDAT, IEND = chunk(b"IDAT", zlib.compress(ROWS)), chunk(b"IEND")
ZEROS = zlib.compress(bytes(60_000_000), 9)


def pngs() -> list[Picture]:
    return [
        *(
            Picture(f"PNG of {width}x{height}, colour type {colour}", png(width, height, b"", colour=colour))
            for width, height in ((60_000, 60_000), (2**31, 2**31), (2**32 - 1, 1), (1, 2**32 - 1), (8193, 1))
            for colour in (0, 3, 6)
        ),
        Picture("PNG of no width", png(0, 8, b"")),
        Picture("PNG of no height", png(8, 0, b"")),
        *_bombs(),
        *_damaged(),
        *_odd(),
        *cut_off("PNG", saved(noise(64, 48), "PNG"), 12),
        *cut_off("PNG of 8 MP", png(3840, 2160), 4),
        Picture("animated PNG", _animated()),
        Picture(
            "PNG animated behind its pixels",
            png(8, 8)[:-12] + chunk(b"acTL", struct.pack(">II", 3, 0)) + IEND,
        ),
        Picture("PNG with an archive behind it", png(8, 8) + b"PK\x03\x04" + bytes(60)),
        Picture("PNG with a page behind it", png(8, 8) + b"<script>alert(1)</script>"),
        Picture("PNG with another PNG behind it", png(8, 8) * 2),
    ]


def _bombs() -> list[Picture]:
    return [
        Picture("PNG with 60 MB of pixels in 8x8", png(8, 8, bytes(60_000_000))),
        Picture("PNG with 60 MB of pixels in 2000x2000", png(2000, 2000, bytes(60_000_000))),
        Picture("PNG with 4 GB of pixels in 9 chunks", _chunked_bomb()),
        Picture("PNG with a 60 MB zTXt", png(8, 8, None, chunk(b"zTXt", b"a\0\0" + ZEROS))),
        Picture("PNG with a 60 MB iTXt", png(8, 8, None, chunk(b"iTXt", b"a\0\1\0\0\0" + ZEROS))),
        Picture("PNG with a 60 MB iCCP", png(8, 8, None, chunk(b"iCCP", b"a\0\0" + ZEROS))),
        Picture(
            "PNG with 300 zTXt", png(8, 8, None, chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(10**6))) * 300)
        ),
        Picture("PNG of a million chunks", png(8, 8, None, chunk(b"tEXt") * 1_000_000)),
        Picture("PNG of a million pieces", PNG_SIGNATURE + header(8, 8) + chunk(b"IDAT") * 1_000_000 + IEND),
        *(
            Picture(f"PNG without most of its {width}x{height}", png(width, height, bytes(1000), colour=6))
            for width, height in ((3840, 2160), (8192, 1000), (1012, 8192))
        ),
        Picture("PNG without its last row", png(3840, 2160, bytes(2159 * (1 + 3840 * 3)))),
        Picture("PNG of 8 MP with an unknown filter at its end", _wrong_at_the_end(3840, 2160)),
        Picture("PNG over 16 MiB", saved(noise(2500, 2400), "PNG", compress_level=0)),
    ]


def _wrong_at_the_end(width: int, height: int) -> bytes:
    row = bytes(1 + width * 3)
    return png(width, height, row * (height - 1) + b"\x09" + row[1:])


def _chunked_bomb() -> bytes:
    pieces = [ZEROS[place : place + 8000] for place in range(0, len(ZEROS), 8000)]
    return PNG_SIGNATURE + header(64, 64) + b"".join(chunk(b"IDAT", piece) for piece in pieces) + IEND


def _damaged() -> list[Picture]:
    good = png(8, 8)
    start = PNG_SIGNATURE + header(8, 8)
    bodies = {
        "no IHDR": PNG_SIGNATURE + IDAT + IEND,
        "no IDAT": start + IEND,
        "no IEND": start + IDAT,
        "nothing but a signature": PNG_SIGNATURE,
        "a second IHDR": start + header(8000, 1000) + IDAT + IEND,
        "a second, huge IHDR": start + header(60_000, 60_000) + IDAT + IEND,
        "a short IHDR": PNG_SIGNATURE + chunk(b"IHDR", bytes(4)) + IDAT + IEND,
        "an endless chunk": start + struct.pack(">I", 2**32 - 1) + b"IDAT" + bytes(64),
        "a wrong checksum of IHDR": good.replace(header(8, 8)[-4:], bytes(4)),
        "a wrong checksum of IDAT": good.replace(good[-16:-12], bytes(4)),
        "a wrong checksum of its pixels": start + chunk(b"IDAT", zlib.compress(ROWS)[:-4] + bytes(4)) + IEND,
        "pixels that are not zlib": start + chunk(b"IDAT", bytes(range(200))) + IEND,
        "pixels that end early": start + chunk(b"IDAT", zlib.compress(ROWS[:-1])) + IEND,
        "an unknown filter": start + chunk(b"IDAT", zlib.compress(b"\x09" + ROWS[1:])) + IEND,
        "an unknown critical chunk": start + chunk(b"EVIL", b"x") + IDAT + IEND,
        "text between its pixels": start
        + chunk(b"IDAT", zlib.compress(ROWS)[:6])
        + chunk(b"tEXt", b"a\0b")
        + chunk(b"IDAT", zlib.compress(ROWS)[6:])
        + IEND,
    }
    return [Picture(f"PNG with {name}", data) for name, data in bodies.items()]


def _odd() -> list[Picture]:
    deep = np.full((9, 300), 40_000, np.uint16)
    rgb16 = PNG_SIGNATURE + header(2, 2, 16, 2) + chunk(b"IDAT", zlib.compress(bytes(26))) + IEND
    palette = chunk(b"PLTE", bytes(6))
    return [
        Picture("PNG of 16-bit grey", saved(Image.fromarray(deep), "PNG")),
        Picture("PNG of 16-bit RGB", rgb16),
        *(
            Picture(
                f"PNG of colour type {colour} with {depth} bits",
                PNG_SIGNATURE + header(8, 8, depth, colour) + palette + IDAT + IEND,
            )
            for colour, depth in ((2, 4), (6, 1), (4, 2), (3, 16), (1, 8), (5, 8), (7, 8), (2, 0), (2, 255))
        ),
        Picture("PNG with compression 1", PNG_SIGNATURE + header(8, 8, 8, 2, 1, 0, 0) + IDAT + IEND),
        Picture("PNG with filtering 1", PNG_SIGNATURE + header(8, 8, 8, 2, 0, 1, 0) + IDAT + IEND),
        Picture("PNG with interlacing 2", PNG_SIGNATURE + header(8, 8, 8, 2, 0, 0, 2) + IDAT + IEND),
        Picture("PNG with a palette but no colours", png(8, 8, colour=3)),
        Picture("PNG with a palette of 5 bytes", png(8, 8, None, chunk(b"PLTE", bytes(5)), colour=3)),
        Picture("PNG with a palette of 257 colours", png(8, 8, None, chunk(b"PLTE", bytes(771)), colour=3)),
        Picture(
            "PNG with more transparency than colours",
            png(8, 8, None, palette, chunk(b"tRNS", bytes(200)), colour=3),
        ),
        Picture("PNG with a key colour of 1 byte", png(8, 8, None, chunk(b"tRNS", b"\0"))),
        Picture("PNG with alpha and a key colour", png(8, 8, None, chunk(b"tRNS", bytes(6)), colour=6)),
    ]


def _animated() -> bytes:
    return saved(FRAMES[0], "PNG", save_all=True, append_images=FRAMES[1:])

"""WebP files that are not what they seem."""

import struct

from PIL import Image

from tests.serve.hostile.parts import Picture, cut_off, noise, riff, riff_chunks, saved

LOSSY = saved(noise(64, 48), "WEBP", quality=80)
LOSSLESS = saved(noise(64, 48, 4), "WEBP", lossless=True)
ALPHA = saved(noise(64, 48, 4), "WEBP", quality=80)
[(_, VP8)] = riff_chunks(LOSSY)
[(_, VP8L)] = riff_chunks(LOSSLESS)
FRAMES = [Image.new("RGB", (16, 16), (level, 0, 0)) for level in (0, 90, 180)]


def webps() -> list[Picture]:
    wide = struct.pack("<I", 0x3FFF | 0x3FFF << 14)
    return [
        Picture("WebP of 16384x16384, lossless", riff((b"VP8L", b"\x2f" + wide + VP8L[5:]))),
        Picture("WebP of 16383x16383, lossy", riff((b"VP8 ", VP8[:6] + b"\xff\x3f\xff\x3f" + VP8[10:]))),
        Picture("WebP of no size", riff((b"VP8 ", VP8[:6] + bytes(4) + VP8[10:]))),
        Picture(
            "WebP with a canvas of 16777216x16777216", riff((b"VP8X", _canvas(1 << 24)), (b"VP8L", VP8L))
        ),
        Picture("WebP with a canvas of 8193x8193", riff((b"VP8X", _canvas(8193)), (b"VP8L", VP8L))),
        Picture("WebP with a canvas of 1x1", riff((b"VP8X", _canvas(1)), (b"VP8L", VP8L))),
        Picture(
            "WebP with two canvases", riff((b"VP8X", _canvas(64)), (b"VP8X", _canvas(9000)), (b"VP8L", VP8L))
        ),
        Picture("WebP with two pictures", riff((b"VP8L", VP8L), (b"VP8 ", VP8))),
        Picture("WebP with one picture twice", riff((b"VP8L", VP8L), (b"VP8L", VP8L))),
        *cut_off("lossy WebP", LOSSY, 8),
        *cut_off("lossless WebP", LOSSLESS, 8),
        *cut_off("WebP with alpha", ALPHA, 8),
        *_animated(),
        *_damaged(),
    ]


def _canvas(side: int, flags: int = 0) -> bytes:
    return struct.pack("<I", flags) + struct.pack("<I", side - 1)[:3] * 2


def _animated() -> list[Picture]:
    return [
        Picture("animated WebP", saved(FRAMES[0], "WEBP", save_all=True, append_images=FRAMES[1:])),
        Picture("WebP that says it is animated", riff((b"VP8X", _canvas(64, 0x02)), (b"VP8L", VP8L))),
        Picture("WebP with a frame", riff((b"VP8X", _canvas(64)), (b"ANMF", bytes(16)), (b"VP8L", VP8L))),
        Picture("WebP with a loop", riff((b"ANIM", bytes(6)), (b"VP8L", VP8L))),
    ]


def _damaged() -> list[Picture]:
    bodies = {
        "no chunk": riff(),
        "no picture": riff((b"EXIF", b"x" * 10)),
        "an unknown chunk for a picture": riff((b"VP9 ", VP8)),
        "a length that is too great": LOSSY[:4] + struct.pack("<I", len(LOSSY)) + LOSSY[8:],
        "a chunk longer than the file": LOSSY[:16] + struct.pack("<I", 2**32 - 1) + LOSSY[20:],
        "an empty lossy picture": riff((b"VP8 ", b"")),
        "an empty lossless picture": riff((b"VP8L", b"")),
        "a lossy picture without its start code": riff((b"VP8 ", VP8[:3] + bytes(3) + VP8[6:])),
        "a lossless picture without its signature": riff((b"VP8L", b"\0" + VP8L[1:])),
        "half a lossy picture": riff((b"VP8 ", VP8[: len(VP8) // 2])),
        "half a lossless picture": riff((b"VP8L", VP8L[: len(VP8L) // 2])),
        "a short canvas": riff((b"VP8X", b"\x10"), (b"VP8L", VP8L)),
        "a million empty chunks": riff((b"VP8L", VP8L), *[(b"JUNK", b"")] * 1_000_000),
        "an archive behind it": LOSSY + b"PK\x03\x04" + bytes(60),
        "pixels that are missing": riff((b"VP8L", b"\x2f" + struct.pack("<I", 2879 | 2159 << 14) + bytes(9))),
    }
    return [Picture(f"WebP with {name}", data) for name, data in bodies.items()]

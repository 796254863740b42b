"""JPEG files that are not what they seem."""

import struct

from tests.serve.hostile.parts import Picture, cut_off, noise, saved, segment

GOOD = saved(noise(64, 48), "JPEG", quality=90)
PROGRESSIVE = saved(noise(64, 48), "JPEG", progressive=True)
START, END = b"\xff\xd8", b"\xff\xd9"
SOF = GOOD.index(b"\xff\xc0")
SCAN = GOOD[GOOD.index(b"\xff\xda") : -2]
TABLES = GOOD[2:SOF]


def jpegs() -> list[Picture]:
    return [
        *(
            Picture(f"JPEG of {width}x{height}", _sized(width, height))
            for width, height in ((65_535, 65_535), (65_535, 1), (1, 65_535), (8193, 8), (4000, 4000))
        ),
        Picture("JPEG of no height", _sized(8, 0)),
        Picture("JPEG of no width", _sized(0, 8)),
        *cut_off("JPEG", GOOD, 12),
        *cut_off("progressive JPEG", PROGRESSIVE, 8),
        *_odd(),
        *_endless(),
        *_damaged(),
    ]


def _sized(width: int, height: int) -> bytes:
    return GOOD[: SOF + 5] + struct.pack(">HH", height, width) + GOOD[SOF + 9 :]


def _odd() -> list[Picture]:
    cmyk = noise(32, 32).convert("CMYK")
    return [
        *(
            Picture(f"JPEG in CMYK, quality {level}", saved(cmyk, "JPEG", quality=level))
            for level in (20, 95)
        ),
        Picture("JPEG in CMYK, progressive", saved(cmyk, "JPEG", progressive=True)),
        Picture("JPEG of 12 bits", GOOD[: SOF + 4] + b"\x0c" + GOOD[SOF + 5 :]),
        Picture("JPEG of 2 channels", GOOD[: SOF + 9] + b"\x02" + GOOD[SOF + 10 :]),
        Picture("JPEG of 0 channels", GOOD[: SOF + 9] + b"\x00" + GOOD[SOF + 10 :]),
        Picture("JPEG of 255 channels", GOOD[: SOF + 9] + b"\xff" + GOOD[SOF + 10 :]),
    ]


def _endless() -> list[Picture]:
    return [
        Picture("JPEG of 1000 scans", GOOD[:-2] + SCAN * 1000 + END),
        Picture("JPEG of a million empty comments", GOOD[:2] + segment(0xFE, b"") * 1_000_000 + GOOD[2:]),
        Picture("JPEG of a million empty tables", GOOD[:2] + segment(0xDB, b"") * 1_000_000 + GOOD[2:]),
        Picture("JPEG with a scan of 10 MB of fill bytes", GOOD[:-2] + b"\xff" * 10_000_000),
        Picture("JPEG with 5 million stuffed bytes", GOOD[:-2] + b"\xff\x00" * 5_000_000),
        Picture("JPEG with 5 million restarts", GOOD[:-2] + b"\xff\xd0" * 5_000_000),
    ]


def _damaged() -> list[Picture]:
    bodies = {
        "nothing but a start": START + b"\xff",
        "no picture": START + END,
        "no tables": START + GOOD[SOF:],
        "no scan": GOOD[: GOOD.index(b"\xff\xda")] + END,
        "no size": START + TABLES + SCAN + END,
        "two sizes": GOOD[:SOF] + _sized(3000, 2000)[SOF : SOF + 19] + GOOD[SOF:],
        "a size behind its scan": GOOD[:SOF] + GOOD[SOF + 19 : -2] + GOOD[SOF : SOF + 19] + END,
        "a segment of no length": START + b"\xff\xdb\0\0" + GOOD[2:],
        "a segment longer than the file": START + b"\xff\xdb\xff\xff" + GOOD[2:],
        "a size that is cut short": START + segment(0xC0, b"\x08\0\x08") + SCAN + END,
        "a table of ones": START + segment(0xC4, b"\0" + b"\xff" * 16) + GOOD[2:],
        "no marker where one must be": GOOD[:2] + b"\0\0" + GOOD[2:],
    }
    return [Picture(f"JPEG with {name}", data) for name, data in bodies.items()]

"""Can the words be read? RapidOCR reads them, with settings that suit small pictures.

Its classifier of upside-down lines is off: nothing here is upside down, and it turns short words that are
not over. Case and spaces do not count: a designer's small capitals are no spelling mistake.
"""

import logging
import re
import threading
from functools import cache, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audits.criteria.subject import Criterion, Measured, Subject, on_white

_MIN_SIDE_PX = 64
_LOCK = threading.Lock()


def character_error_rate(wanted: str, read: str) -> float:
    """Edits (insert, delete, replace) from what was read to what was wanted, per wanted character: 0 for
    equal texts, above 1 where much more was read. Levenshtein 1966."""
    one, other = plain(wanted), plain(read)
    if not one:
        return float(bool(other))
    row = list(range(len(other) + 1))
    for i, character in enumerate(one, 1):
        above = row
        row = [i]
        for j, candidate in enumerate(other, 1):
            row.append(min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (character != candidate)))
    return row[-1] / len(one)


def plain(text: str) -> str:
    """Without spaces and case, and with the plain form of quotes that fonts and readers do not tell apart."""
    straight = text.translate(str.maketrans("‘’“”´`", "''\"\"''"))
    return re.sub(r"\s", "", straight).casefold()


def read_text(pixels: NDArray[np.uint8]) -> str:
    """All lines of an RGB picture, from top to bottom. Raises ImportError without rapidocr."""
    height, width = pixels.shape[:2]
    margin = max(0, (_MIN_SIDE_PX - min(height, width) + 1) // 2)
    padded = np.pad(pixels, ((margin, margin), (margin, margin), (0, 0)), mode="edge")
    with _LOCK:
        result = _engine()(padded[..., ::-1])
    if result.txts is None:
        return ""
    found = list(zip(result.boxes, result.txts, strict=True))
    return " ".join(text for _, text in _in_reading_order(found))


def _exact(subject: Subject) -> Measured | None:
    if subject.text is None:
        return None
    read = _read(subject)
    return Measured(float(plain(read) == plain(subject.text)), f'read "{read}"')


def _error_rate(subject: Subject) -> Measured | None:
    if subject.text is None:
        return None
    read = _read(subject)
    return Measured(character_error_rate(subject.text, read), f'read "{read}"')


def _read(subject: Subject) -> str:
    pixels = on_white(subject.first.pixels)
    return _read_bytes(pixels.tobytes(), pixels.shape)


@cache
def _engine() -> Any:
    from rapidocr import RapidOCR

    logging.getLogger("RapidOCR").setLevel(logging.ERROR)
    settings = {
        "Det.limit_side_len": 256,
        "Det.limit_type": "max",
        "Global.use_cls": False,
        "Global.log_level": "error",
    }
    return RapidOCR(params=settings)


@lru_cache(maxsize=1)
def _read_bytes(pixels: bytes, shape: tuple[int, ...]) -> str:
    """Two criteria ask the same of one picture."""
    return read_text(np.frombuffer(pixels, np.uint8).reshape(shape))


def _in_reading_order(found: list[tuple[Any, str]]) -> list[tuple[Any, str]]:
    """Boxes whose middles are within half a height of each other are one line, from left to right."""
    lines: list[list[tuple[Any, str]]] = []
    for item in sorted(found, key=lambda item: _middle(item[0])):
        if lines and _middle(item[0]) - _middle(lines[-1][0][0]) < 0.5 * _height(lines[-1][0][0]):
            lines[-1].append(item)
        else:
            lines.append([item])
    return [item for line in lines for item in sorted(line, key=lambda item: min(p[0] for p in item[0]))]


def _middle(box: Any) -> float:
    return float(sum(point[1] for point in box)) / len(box)


def _height(box: Any) -> float:
    return float(max(point[1] for point in box) - min(point[1] for point in box))


def _no_text(subject: Subject) -> Measured:
    """How many characters are read where none were asked for."""
    read = _read(subject)
    return Measured(float(len(plain(read))), f'read "{read}"' if read else "")


CRITERIA = (
    Criterion("text_exact", "1 or 0", _exact, least=1.0),
    Criterion("character_error_rate", "edits per character", _error_rate, most=0.0),
    Criterion("no_text", "characters", _no_text, most=0.0),
)

"""Reads text out of pictures with RapidOCR, with settings that suit small pictures.

Its classifier of upside-down lines is off: nothing here is upside down, and it turns short words that are not
("Für", "Hours?") over, most of what it misreads otherwise.
"""

import logging
import re
from typing import Any

from rapidocr import RapidOCR

from deployments.types import Pixels


class Reader:
    def __init__(self) -> None:
        logging.getLogger("RapidOCR").setLevel(logging.ERROR)
        self._engine: Any = RapidOCR(
            params={
                "Det.limit_side_len": 256,
                "Det.limit_type": "max",
                "Global.use_cls": False,
                "Global.log_level": "error",
            }
        )

    def read(self, pixels: Pixels) -> str:
        """All lines, from top to bottom, run together."""
        result = self._engine(pixels[..., ::-1])
        if result.txts is None:
            return ""
        return "".join(
            text for _, text in _in_reading_order(list(zip(result.boxes, result.txts, strict=True)))
        )


def _in_reading_order(found: list[tuple[Any, str]]) -> list[tuple[Any, str]]:
    """Boxes whose middles are within half a height of each other are one line, from left to right."""
    lines: list[list[tuple[Any, str]]] = []
    for item in sorted(found, key=lambda item: _middle(item[0])):
        if lines and _middle(item[0]) - _middle(lines[-1][0][0]) < 0.5 * _height(lines[-1][0][0]):
            lines[-1].append(item)
        else:
            lines.append([item])
    return [item for line in lines for item in sorted(line, key=lambda item: min(p[0] for p in item[0]))]


def same_text(one: str, other: str) -> bool:
    """Case and spaces aside."""
    return _plain(one) == _plain(other)


def _plain(text: str) -> str:
    return re.sub(r"\s", "", text).casefold()


def _middle(box: Any) -> float:
    return float(sum(point[1] for point in box)) / len(box)


def _height(box: Any) -> float:
    return float(max(point[1] for point in box) - min(point[1] for point in box))

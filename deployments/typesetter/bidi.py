"""Which way each character runs: the Unicode bidirectional algorithm (UAX #9) for one line of plain text.

Covers paragraph level (P2, P3), weak types (W1-W7), paired brackets (N0), neutrals (N1, N2), implicit levels
(I1, I2), trailing white space (L1) and reordering (L2). Explicit embeddings, overrides and isolates are
controls for documents, not for a line on a badge: callers remove them (`EXPLICIT_CONTROLS`) beforehand.
Knows nothing of fonts.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

EXPLICIT_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

_OPENING = {
    "(": ")",
    "[": "]",
    "{": "}",
    "〈": "〉",
    "《": "》",
    "「": "」",
    "『": "』",
    "【": "】",
    "〔": "〕",
}
_OPENING |= {"⁅": "⁆", "⁽": "⁾", "₍": "₎", "（": "）", "［": "］", "｛": "｝", "〖": "〗", "〘": "〙"}
_CLOSING = {closing: opening for opening, closing in _OPENING.items()}
_NEUTRAL = frozenset({"B", "S", "WS", "ON"})
_MAX_OPEN_BRACKETS = 63


@dataclass(frozen=True, slots=True)
class Run:
    """Characters `start` to `end` (exclusive, logical order) of one level; odd levels run right to left."""

    start: int
    end: int
    level: int

    @property
    def is_rtl(self) -> bool:
        return self.level % 2 == 1


def base_level(text: str) -> int:
    """1 when the first strong character runs right to left, else 0 (P2, P3)."""
    for character in text:
        kind = unicodedata.bidirectional(character)
        if kind in ("R", "AL"):
            return 1
        if kind == "L":
            return 0
    return 0


def embedding_levels(text: str, base: int) -> list[int]:
    """The level of each character; `base` is the level of the paragraph the line belongs to."""
    original = [unicodedata.bidirectional(character) or "L" for character in text]
    kinds = _resolve_weak(original, base)
    _resolve_brackets(text, kinds, original, base)
    _resolve_neutrals(kinds, base)
    levels = [_implicit_level(kind, base) for kind in kinds]
    _reset_whitespace(original, levels, base)
    return levels


def visual_runs(levels: Sequence[int]) -> list[Run]:
    """Runs from left to right as they appear (L2)."""
    runs: list[Run] = []
    for index, level in enumerate(levels):
        if runs and runs[-1].level == level:
            runs[-1] = Run(runs[-1].start, index + 1, level)
        else:
            runs.append(Run(index, index + 1, level))
    odd_levels = [run.level for run in runs if run.is_rtl]
    if not odd_levels:
        return runs
    for level in range(max(run.level for run in runs), min(odd_levels) - 1, -1):
        runs = _reverse_stretches(runs, level)
    return runs


def _reverse_stretches(runs: list[Run], level: int) -> list[Run]:
    reordered: list[Run] = []
    stretch: list[Run] = []
    for run in runs:
        if run.level >= level:
            stretch.append(run)
            continue
        reordered += [*reversed(stretch), run]
        stretch = []
    return [*reordered, *reversed(stretch)]


def _resolve_weak(original: Sequence[str], base: int) -> list[str]:
    """W1 to W7. Boundary neutrals ("BN") take the type before them, as if they were not there."""
    start = _direction(base)
    kinds = list(original)
    previous = start
    for i, kind in enumerate(kinds):  # W1
        if kind in ("NSM", "BN"):
            kinds[i] = previous
        previous = kinds[i]
    strong = start
    for i, kind in enumerate(kinds):  # W2, W3
        if kind in ("L", "R", "AL"):
            strong = kind
        if kind == "EN" and strong == "AL":
            kinds[i] = "AN"
    kinds = ["R" if kind == "AL" else kind for kind in kinds]
    for i in range(1, len(kinds) - 1):  # W4
        before, after = kinds[i - 1], kinds[i + 1]
        if (kinds[i] == "ES" and before == after == "EN") or (
            kinds[i] == "CS" and before == after and before in ("EN", "AN")
        ):
            kinds[i] = before
    _resolve_terminators(kinds)
    strong = start
    for i, kind in enumerate(kinds):  # W7
        if kind in ("L", "R"):
            strong = kind
        if kind == "EN" and strong == "L":
            kinds[i] = "L"
    return kinds


def _resolve_terminators(kinds: list[str]) -> None:
    """W5 and W6: a percent sign beside a number belongs to it; separators that are left are neutral."""
    i = 0
    while i < len(kinds):
        if kinds[i] != "ET":
            i += 1
            continue
        end = i
        while end < len(kinds) and kinds[end] == "ET":
            end += 1
        beside_number = (i > 0 and kinds[i - 1] == "EN") or (end < len(kinds) and kinds[end] == "EN")
        kinds[i:end] = ["EN" if beside_number else "ON"] * (end - i)
        i = end
    kinds[:] = ["ON" if kind in ("ES", "CS") else kind for kind in kinds]


def _resolve_brackets(text: str, kinds: list[str], original: Sequence[str], base: int) -> None:
    """N0: both brackets of a pair take one direction, from what is inside or before them."""
    embedding = _direction(base)
    for opening, closing in _bracket_pairs(text, kinds):
        inside = {_strong(kind) for kind in kinds[opening + 1 : closing]} - {None}
        if embedding in inside:
            direction = embedding
        elif inside:
            before = next((s for k in reversed(kinds[:opening]) if (s := _strong(k))), embedding)
            direction = before if before != embedding else embedding
        else:
            continue
        for position in (opening, closing):
            kinds[position] = direction
            following = position + 1
            while following < len(kinds) and original[following] in ("NSM", "BN"):
                kinds[following] = direction
                following += 1


def _bracket_pairs(text: str, kinds: Sequence[str]) -> list[tuple[int, int]]:
    """BD16."""
    stack: list[tuple[str, int]] = []
    pairs: list[tuple[int, int]] = []
    for i, character in enumerate(text):
        if kinds[i] != "ON":
            continue
        if character in _OPENING:
            if len(stack) == _MAX_OPEN_BRACKETS:
                return []
            stack.append((_OPENING[character], i))
        elif character in _CLOSING:
            for depth in range(len(stack) - 1, -1, -1):
                if stack[depth][0] == character:
                    pairs.append((stack[depth][1], i))
                    del stack[depth:]
                    break
    return sorted(pairs)


def _resolve_neutrals(kinds: list[str], base: int) -> None:
    """N1 and N2."""
    embedding = _direction(base)
    i = 0
    while i < len(kinds):
        if kinds[i] not in _NEUTRAL:
            i += 1
            continue
        end = i
        while end < len(kinds) and kinds[end] in _NEUTRAL:
            end += 1
        before = (_strong(kinds[i - 1]) or embedding) if i else embedding
        after = (_strong(kinds[end]) or embedding) if end < len(kinds) else embedding
        kinds[i:end] = [before if before == after else embedding] * (end - i)
        i = end


def _implicit_level(kind: str, base: int) -> int:
    """I1 and I2."""
    if base % 2 == 0:
        return base + {"R": 1, "AN": 2, "EN": 2}.get(kind, 0)
    return base + (1 if kind in ("L", "EN", "AN") else 0)


def _reset_whitespace(original: Sequence[str], levels: list[int], base: int) -> None:
    """L1: white space at the end of the line, and before separators, keeps the paragraph's level."""
    at_edge = True
    for i in range(len(original) - 1, -1, -1):
        if original[i] in ("S", "B"):
            levels[i] = base
            at_edge = True
        elif original[i] in ("WS", "BN"):
            if at_edge:
                levels[i] = base
        else:
            at_edge = False


def _direction(level: int) -> str:
    return "R" if level % 2 else "L"


def _strong(kind: str) -> str | None:
    """Numbers count as right to left where neutrals and brackets ask (N0, N1)."""
    return {"L": "L", "R": "R", "EN": "R", "AN": "R"}.get(kind)

"""One line of text to placed glyphs: font fallback by coverage, bidi order, HarfBuzz.

Lengths are in em (1.0 is the font size), y upwards, the line starts at x = 0 on the baseline.
Knows nothing of boxes, wrapping or colours.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import uharfbuzz as hb

from deployments import errors
from deployments.typesetter import bidi
from deployments.typesetter.fonts import Font, FontStack, GlyphInk

_SCRIPTS = {
    "LATIN": "Latn",
    "GREEK": "Grek",
    "CYRILLIC": "Cyrl",
    "ARABIC": "Arab",
    "HEBREW": "Hebr",
    "HIRAGANA": "Kana",
    "KATAKANA": "Kana",
    "CJK": "Kana",
    "HANGUL": "Hang",
}
_MAX_NAMED = 8
_EAST_ASIAN_SCRIPTS = frozenset({"Kana", "Hang"})
_COMMON = "Zyyy"
_JOINING_SCRIPTS = frozenset({"Arab"})


@dataclass(frozen=True, slots=True)
class PlacedGlyph:
    """`cluster` is the index of the first character (of the line) that the glyph stands for."""

    font: Font
    glyph_id: int
    x: float
    y: float
    advance: float
    cluster: int


@dataclass(frozen=True, slots=True)
class ShapedLine:
    """`ink` is what the outlines cover, `advance` what the line takes."""

    text: str
    glyphs: tuple[PlacedGlyph, ...]
    advance: float
    ink: GlyphInk


@dataclass(frozen=True, slots=True)
class _Piece:
    """A stretch of one font and one script, logical order."""

    start: int
    end: int
    font: Font
    script: str


def prepare(text: str) -> str:
    """NFC, without bidi embeddings and control characters; white space other than newlines is a space."""
    composed = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n"))
    kept = []
    for character in composed:
        if character == "\n":
            kept.append(character)
        elif character in bidi.EXPLICIT_CONTROLS:
            continue
        elif character in "\t\v\f\u2028\u2029\x85" or unicodedata.category(character) == "Zs":
            kept.append(character if character == "\u00a0" else " ")
        elif unicodedata.category(character) != "Cc":
            kept.append(character)
    return "".join(kept)


def missing_characters(text: str, stack: FontStack) -> list[str]:
    """What no font of the stack can draw, once each, in order.

    A base and its marks must come from one font, or they would not meet: they are named together.
    """
    missing: dict[str, None] = {}
    for start, end in clusters(text.replace("\n", " ")):
        characters = [c for c in text[start:end] if c != "\n" and not _is_ignorable(c)]
        if any(font.covers(characters) for font in stack):
            continue
        lacking = [c for c in characters if not any(font.covers(c) for font in stack)]
        missing.update(dict.fromkeys(lacking or ["".join(characters)]))
    return list(missing)


def require_coverage(text: str, stack: FontStack) -> None:
    """Raises Unsupported, naming the characters that would come out as boxes."""
    missing = missing_characters(text, stack)
    if missing:
        names = ", ".join(f"{characters} ({_name(characters)})" for characters in missing[:_MAX_NAMED])
        more = f" and {len(missing) - _MAX_NAMED} more" if len(missing) > _MAX_NAMED else ""
        raise errors.Unsupported(f"no font of the typesetter has the characters {names}{more}", "prompt")


def with_one_east_asian_face(text: str, stack: FontStack) -> FontStack:
    """The stack, with the first font that has all Chinese, Japanese and Korean characters of `text` before
    those that have some: a line set in several faces is uneven. Unchanged if none has all.
    """
    letters = {character for character in text if _is_east_asian(character)}
    whole = next((font for font in stack if font.covers(letters)), None)
    if not letters or whole is None:
        return stack
    first = next(index for index, font in enumerate(stack) if any(map(font.covers, letters)))
    return [*stack[:first], whole, *(font for font in stack[first:] if font is not whole)]


def _is_east_asian(character: str) -> bool:
    """With the punctuation and the full-width forms that belong to these scripts."""
    code = ord(character)
    return _script(character) in _EAST_ASIAN_SCRIPTS or 0x3001 <= code <= 0x303F or 0xFF01 <= code <= 0xFFEE


def _name(characters: str) -> str:
    return " with ".join(f"U+{ord(c):04X} {unicodedata.name(c, 'unnamed')}" for c in characters)


def shape_line(
    text: str, stack: FontStack, tracking: float = 0.0, base_level: int | None = None
) -> ShapedLine:
    """`tracking` (em) is added after each cluster, except in scripts whose letters join."""
    base = bidi.base_level(text) if base_level is None else base_level
    levels = bidi.embedding_levels(text, base)
    pieces = _itemise(text, stack)
    glyphs: list[PlacedGlyph] = []
    pen = 0.0
    for run in bidi.visual_runs(levels):
        for piece in _pieces_of_run(pieces, run):
            placed, pen = _shape_piece(text, piece, run.is_rtl, pen, tracking)
            glyphs += placed
    if glyphs and tracking:
        pen -= tracking
    return ShapedLine(text, tuple(glyphs), pen, _ink_of(glyphs))


def clusters(text: str) -> Iterator[tuple[int, int]]:
    """(start, end) of what a reader takes as one character: a base with its marks and joiners."""
    start = 0
    for i in range(1, len(text)):
        if not (_is_extending(text[i]) or text[i - 1] == "\u200d"):
            yield start, i
            start = i
    if text:
        yield start, len(text)


def _itemise(text: str, stack: FontStack) -> list[_Piece]:
    pieces: list[_Piece] = []
    for start, end in clusters(text):
        characters = [character for character in text[start:end] if not _is_ignorable(character)]
        script = _script(text[start])
        previous = pieces[-1] if pieces else None
        if previous and script is None and previous.font.covers(characters):
            pieces[-1] = replace(previous, end=end)
            continue
        font = next((font for font in stack if font.covers(characters)), stack[0])
        if previous and previous.font is font and script in (None, previous.script):
            pieces[-1] = replace(previous, end=end)
        else:
            pieces.append(_Piece(start, end, font, script or _COMMON))
    return _with_first_numbers_joined(text, pieces)


def _with_first_numbers_joined(text: str, pieces: list[_Piece]) -> list[_Piece]:
    """Numbers and signs take the face of what stands before them. Those that begin an East Asian line take
    that of what follows: `6月14日` has one face."""
    if len(pieces) < 2 or pieces[0].script != _COMMON or pieces[1].script not in _EAST_ASIAN_SCRIPTS:
        return pieces
    first, second = pieces[:2]
    if not second.font.covers(text[first.start : first.end]):
        return pieces
    return [replace(second, start=first.start), *pieces[2:]]


def _pieces_of_run(pieces: Sequence[_Piece], run: bidi.Run) -> list[_Piece]:
    inside = [
        replace(piece, start=max(piece.start, run.start), end=min(piece.end, run.end))
        for piece in pieces
        if piece.start < run.end and piece.end > run.start
    ]
    return inside[::-1] if run.is_rtl else inside


def _shape_piece(
    text: str, piece: _Piece, is_rtl: bool, pen: float, tracking: float
) -> tuple[list[PlacedGlyph], float]:
    buffer = hb.Buffer()
    buffer.add_str(text, piece.start, piece.end - piece.start)
    buffer.direction = "rtl" if is_rtl else "ltr"
    buffer.script = piece.script
    buffer.language = "ja" if any(map(_is_kana, text)) else "und"
    buffer.cluster_level = hb.BufferClusterLevel.MONOTONE_CHARACTERS
    hb.shape(piece.font.shaper, buffer)
    em = piece.font.units_per_em
    added = 0.0 if piece.script in _JOINING_SCRIPTS else tracking
    placed = []
    for info, position in zip(buffer.glyph_infos, buffer.glyph_positions, strict=True):
        advance = position.x_advance / em + (added if position.x_advance else 0.0)
        x, y = pen + position.x_offset / em, position.y_offset / em
        placed.append(PlacedGlyph(piece.font, info.codepoint, x, y, advance, info.cluster))
        pen += advance
    return placed, pen


def _ink_of(glyphs: Sequence[PlacedGlyph]) -> GlyphInk:
    boxes = [
        GlyphInk(g.x + ink.left, g.y + ink.bottom, g.x + ink.right, g.y + ink.top)
        for g in glyphs
        if not (ink := g.font.ink(g.glyph_id)).is_empty
    ]
    if not boxes:
        return GlyphInk(0.0, 0.0, 0.0, 0.0)
    return GlyphInk(
        min(box.left for box in boxes),
        min(box.bottom for box in boxes),
        max(box.right for box in boxes),
        max(box.top for box in boxes),
    )


@lru_cache(maxsize=4096)
def _script(character: str) -> str | None:
    """ISO 15924 tag, None for characters common to all scripts."""
    if not unicodedata.category(character).startswith("L"):
        return None
    return _SCRIPTS.get(unicodedata.name(character, "").split(" ")[0])


def _is_kana(character: str) -> bool:
    return 0x3041 <= ord(character) <= 0x30FF


def _is_extending(character: str) -> bool:
    return unicodedata.category(character) in ("Mn", "Me", "Mc") or character in "\u200c\u200d"


def _is_ignorable(character: str) -> bool:
    return unicodedata.category(character) == "Cf" or 0xFE00 <= ord(character) <= 0xFE0F

"""Paragraphs into a box: where to break lines, and the largest size at which all of it fits.

Lengths are pixels unless a name says em. Knows nothing of colours or of what the box is part of.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from deployments import errors
from deployments.typesetter import bidi
from deployments.typesetter.fonts import FontStack, GlyphInk
from deployments.typesetter.shaping import ShapedLine, clusters, shape_line

LEGIBLE_SIZE_PX = 8.0
_COMFORTABLE_SIZE_PX = 13.0
_LINE_GAP_EM = 0.22
_PARAGRAPH_GAP_EM = 0.55
_SIZE_STEPS = 14

# Japanese line breaking (JIS X 4051): these do not begin a line, those do not end one.
_NOT_AT_LINE_START = frozenset(
    "、。，．・：；？！）］｝〕〉》」』】々ーぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮヵヶ%)]},.!?:;…”’"
)
_BELONGS_TO_WORD_BEFORE = frozenset("€$£¥%‰°!?:;»")  # also behind a space: "19,99 €", "Allez !"
_NOT_AT_LINE_END = frozenset("（［｛〔〈《「『【([{“‘¥$€£#")


@dataclass(frozen=True, slots=True)
class Paragraph:
    """`scale` is its size relative to the block's, `tracking` in its own em."""

    text: str
    stack: FontStack
    scale: float = 1.0
    tracking: float = 0.0
    role: str = "title"


@dataclass(frozen=True, slots=True)
class SetLine:
    """A shaped line whose baseline starts at (x, y), y downwards, relative to the block's corner."""

    shaped: ShapedLine
    x: float
    y: float
    size: float
    role: str


@dataclass(frozen=True, slots=True)
class Block:
    """Lines in a box of `width` x `height`, which is what their ink and advances take."""

    lines: tuple[SetLine, ...]
    width: float
    height: float
    size: float


@dataclass(frozen=True, slots=True)
class _Unit:
    """What is kept together on a line. Widths in the block's em."""

    start: int
    end: int
    width: float
    trailing_space: float


@dataclass(frozen=True, slots=True)
class _Measured:
    paragraph: Paragraph
    units: tuple[_Unit, ...]
    top: float
    bottom: float
    base_level: int

    @property
    def pitch(self) -> float:
        return max(1.14 * self.paragraph.scale, self.top + self.bottom + _LINE_GAP_EM * self.paragraph.scale)


def fit(
    paragraphs: Sequence[Paragraph], width: float, height: float, max_size: float, align: str = "center"
) -> Block:
    """The block at the largest size up to `max_size`. Raises InvalidRequest below a legible size.

    Words are broken only where they would otherwise be set too small to read comfortably.
    """
    measured = [_measure(paragraph, breaks_words=False) for paragraph in paragraphs]
    size = _largest_size(measured, width, height, max_size)
    if size < _COMFORTABLE_SIZE_PX:
        broken = [_measure(paragraph, breaks_words=True) for paragraph in paragraphs]
        broken_size = _largest_size(broken, width, height, min(max_size, _COMFORTABLE_SIZE_PX))
        if broken_size > size * 1.15:
            measured, size = broken, broken_size
    smallest = min(paragraph.scale for paragraph in paragraphs)
    if size * smallest < LEGIBLE_SIZE_PX:
        count = sum(len(paragraph.text) for paragraph in paragraphs)
        raise errors.InvalidRequest(
            f"{count} characters do not fit at a legible size: ask for a larger image or shorten the text",
            "prompt",
        )
    return _set_block(measured, size, width, align)


def _measure(paragraph: Paragraph, breaks_words: bool) -> _Measured:
    base = bidi.base_level(paragraph.text)
    shaped = shape_line(paragraph.text, paragraph.stack, paragraph.tracking, base)
    advances = [0.0] * len(paragraph.text)
    for glyph in shaped.glyphs:
        advances[glyph.cluster] += glyph.advance * paragraph.scale
    spans = clusters(paragraph.text) if breaks_words else _break_spans(paragraph.text)
    units = []
    for start, end in spans:
        solid_end = start + len(paragraph.text[start:end].rstrip(" "))
        solid, space = sum(advances[start:solid_end]), sum(advances[solid_end:end])
        units.append(_Unit(start, end, solid, space))
    cap_height = paragraph.stack[0].cap_height
    return _Measured(
        paragraph,
        tuple(units),
        top=max(cap_height, shaped.ink.top) * paragraph.scale,
        bottom=max(0.0, -shaped.ink.bottom) * paragraph.scale,
        base_level=base,
    )


def _break_spans(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    for i in range(1, len(text)):
        if _may_break(text[i - 1], text[i]):
            yield start, i
            start = i
    if text:
        yield start, len(text)


def _may_break(before: str, after: str) -> bool:
    if after == " ":
        return False
    if before == " ":
        return after not in _BELONGS_TO_WORD_BEFORE
    if before in _NOT_AT_LINE_END or after in _NOT_AT_LINE_START or unicodedata.combining(after):
        return False
    if before in "-‐–—/" and after.isalpha():
        return True
    return _is_ideographic(before) or _is_ideographic(after)


def _is_ideographic(character: str) -> bool:
    code = ord(character)
    return 0x2E80 <= code <= 0x9FFF or 0xF900 <= code <= 0xFAFF or 0xFF00 <= code <= 0xFFEF or code >= 0x20000


def _largest_size(measured: Sequence[_Measured], width: float, height: float, max_size: float) -> float:
    low, high = 0.0, max_size
    if _fits(measured, high, width, height):
        return high
    for _ in range(_SIZE_STEPS):
        middle = (low + high) / 2
        if _fits(measured, middle, width, height):
            low = middle
        else:
            high = middle
    return low


def _fits(measured: Sequence[_Measured], size: float, width: float, height: float) -> bool:
    line_width = width / size
    if any(unit.width > line_width for one in measured for unit in one.units):
        return False
    counts = [len(_wrap(one.units, line_width)) for one in measured]
    return _block_height(measured, counts) * size <= height


def _block_height(measured: Sequence[_Measured], counts: Sequence[int]) -> float:
    total = 0.0
    for index, (one, count) in enumerate(zip(measured, counts, strict=True)):
        total += one.top + (count - 1) * one.pitch + one.bottom
        total += _gap_before(measured, index)
    return total


def _gap_before(measured: Sequence[_Measured], index: int) -> float:
    if index == 0:
        return 0.0
    return _PARAGRAPH_GAP_EM * (measured[index].paragraph.scale + measured[index - 1].paragraph.scale) / 2


def _wrap(units: Sequence[_Unit], line_width: float) -> list[tuple[int, int]]:
    """First fit: (start, end) of each line's characters."""
    lines: list[tuple[int, int]] = []
    start, taken = 0, 0.0
    pending_space = 0.0
    for unit in units:
        if taken and taken + pending_space + unit.width > line_width:
            lines.append((start, unit.start))
            start, taken, pending_space = unit.start, 0.0, 0.0
        taken += pending_space + unit.width
        pending_space = unit.trailing_space
    lines.append((start, units[-1].end))
    return lines


def _balanced(units: Sequence[_Unit], line_width: float) -> list[tuple[int, int]]:
    """As few lines as first fit takes, as even as they can be."""
    count = len(_wrap(units, line_width))
    low, high = max(unit.width for unit in units), line_width
    for _ in range(_SIZE_STEPS):
        middle = (low + high) / 2
        if len(_wrap(units, middle)) <= count:
            high = middle
        else:
            low = middle
    return _wrap(units, high)


def _set_block(measured: Sequence[_Measured], size: float, width: float, align: str) -> Block:
    shaped = [_shape_lines(one, width / size) for one in measured]
    widest = max(
        _extent(line) * one.paragraph.scale
        for one, lines in zip(measured, shaped, strict=True)
        for line in lines
    )
    size = min(size, width / widest) if widest else size
    block_width = widest * size
    placed: list[SetLine] = []
    y = 0.0
    for index, (one, lines) in enumerate(zip(measured, shaped, strict=True)):
        y += _gap_before(measured, index) + one.top
        scale = one.paragraph.scale
        for number, line in enumerate(lines):
            baseline = (y + number * one.pitch) * size
            x = _start_x(line, size * scale, block_width, align, one.base_level)
            placed.append(SetLine(line, x, baseline, size * scale, one.paragraph.role))
        y += (len(lines) - 1) * one.pitch + one.bottom
    return Block(tuple(placed), block_width, y * size, size)


def _shape_lines(one: _Measured, line_width: float) -> list[ShapedLine]:
    paragraph = one.paragraph
    texts = [paragraph.text[start:end].strip(" ") for start, end in _balanced(one.units, line_width)]
    return [shape_line(text, paragraph.stack, paragraph.tracking, one.base_level) for text in texts if text]


def _extent(line: ShapedLine) -> float:
    ink: GlyphInk = line.ink
    return max(line.advance, ink.right) - min(0.0, ink.left)


def _start_x(line: ShapedLine, size: float, block_width: float, align: str, base_level: int) -> float:
    """Aligned by ink, so that edges line up to the eye. "start" follows the paragraph's direction."""
    left, right = line.ink.left * size, line.ink.right * size
    side = align
    if align == "start":
        side = "right" if base_level else "left"
    match side:
        case "left":
            x = -left
        case "right":
            x = block_width - right
        case _:
            x = (block_width - (right - left)) / 2 - left
    return x

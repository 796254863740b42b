import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployments import errors
from deployments.typesetter.fitting import LEGIBLE_SIZE_PX, Block, Paragraph, fit
from deployments.typesetter.fonts import FontLibrary

STACK = FontLibrary().stack("Inter", 700)


def set_text(
    text: str, width: float = 400, height: float = 200, max_size: float = 120, align: str = "left"
) -> Block:
    return fit([Paragraph(text, STACK)], width, height, max_size, align)


def lines(block: Block) -> list[str]:
    return [line.shaped.text for line in block.lines]


def test_short_text_is_set_on_one_line_at_the_largest_size() -> None:
    block = set_text("Hi")
    assert lines(block) == ["Hi"]
    assert block.size == pytest.approx(120)


def test_lines_are_balanced() -> None:
    block = set_text("one two three four five six", width=300, height=300, max_size=50)
    widths = [line.shaped.advance for line in block.lines]
    assert len(widths) > 1
    assert max(widths) < 1.6 * min(widths)


def test_words_stay_whole_while_they_can_be_read() -> None:
    assert lines(set_text("extraordinarily large", width=300)) == ["extraordinarily", "large"]


def test_a_word_is_broken_rather_than_set_too_small() -> None:
    block = set_text("x" * 60, width=110, height=110)
    assert len(block.lines) > 2
    assert "".join(lines(block)) == "x" * 60


@pytest.mark.parametrize(
    ("text", "together"),
    [("Only 19,99 €", "19,99 €"), ("Allez, allez !", "allez !"), ("bis zu 70 %", "70 %")],
)
def test_signs_stay_with_their_number_or_word(text: str, together: str) -> None:
    block = set_text(text, width=220, height=400)
    assert len(block.lines) > 1
    assert any(together in line for line in lines(block))


def test_japanese_breaks_between_characters_but_not_before_a_full_stop() -> None:
    block = set_text("本日限りの無料送料。", width=150, height=150)
    found = lines(block)
    assert len(found) > 1
    assert not any(line[0] in "。りーッ、" and line[0] != "り" for line in found)


def test_right_to_left_text_starts_at_the_right() -> None:
    block = set_text("خصم اليوم على كل شيء في المتجر", width=200, height=200, align="start")
    edges = [line.x + line.shaped.ink.right * line.size for line in block.lines]
    assert len(edges) > 1
    assert edges == pytest.approx([block.width] * len(edges))


def test_what_cannot_be_read_is_refused_with_the_count() -> None:
    with pytest.raises(errors.InvalidRequest, match="400 characters do not fit at a legible size"):
        set_text("word " * 79 + "words", width=100, height=60)


@settings(max_examples=60, deadline=None)
@given(
    st.text(alphabet="abcdefgÄÖ ÀĤ WM 0123 .,!?-/ gjpqy אבג اب 税込", min_size=1, max_size=60).filter(
        str.strip
    ),
    st.floats(60, 1000),
    st.floats(40, 1000),
    st.sampled_from(["left", "center", "right", "start"]),
)
def test_ink_never_leaves_the_box(text: str, width: float, height: float, align: str) -> None:
    text = " ".join(text.split())
    try:
        block = set_text(text, width, height, align=align)
    except errors.InvalidRequest:
        return
    assert block.size >= LEGIBLE_SIZE_PX
    assert block.width <= width + 1e-6
    assert block.height <= height + 1e-6
    for line in block.lines:
        ink = line.shaped.ink
        assert line.x + ink.left * line.size >= -1e-6
        assert line.x + ink.right * line.size <= block.width + 1e-6
        assert line.y - ink.top * line.size >= -1e-6
        assert line.y - ink.bottom * line.size <= block.height + 1e-6
    assert "".join(lines(block)).replace(" ", "") == text.replace(" ", "")


@settings(max_examples=30, deadline=None)
@given(st.text(alphabet="Ägjq ÀĤx", min_size=8, max_size=40).filter(str.strip))
def test_lines_do_not_touch(text: str) -> None:
    block = set_text(" ".join(text.split()), width=160, height=1000, max_size=60)
    for upper, lower in zip(block.lines, block.lines[1:], strict=False):
        gap = (lower.y - lower.shaped.ink.top * lower.size) - (upper.y - upper.shaped.ink.bottom * upper.size)
        assert gap > 0

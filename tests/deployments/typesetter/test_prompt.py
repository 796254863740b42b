from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments import errors
from deployments.typesetter.layout import Anchor, Corner, Kind, Role
from deployments.typesetter.prompt import parse_prompt, strip_text


def texts(prompt: str) -> list[str]:
    return [line.text for line in parse_prompt(prompt).layout.lines]


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ('a green ui-badge that says "SALE 50%"', ["SALE 50%"]),
        ("a badge that says “Now open”", ["Now open"]),
        ("a badge with 'Don't panic' on it", ["Don't panic"]),
        ("ein Badge mit „Größe“", ["Größe"]),
        ("un badge «Bonjour»", ["Bonjour"]),
        ("バッジ「税込」", ["税込"]),
        ('poster "Jazz in the Park" "Saturday 14 June"', ["Jazz in the Park", "Saturday 14 June"]),
        ('badge "one\\ntwo"', ["one", "two"]),
        ('badge "one\ntwo"', ["one", "two"]),
        ("a blue badge saying Free Shipping", ["Free Shipping"]),
        ("a badge that says Hello World. Make it shiny.", ["Hello World"]),
        ("a banner saying Summer Sale in white letters", ["Summer Sale"]),
        ("a pill that reads v2.0", ["v2.0"]),
        ("a red poster about summer jazz", ["Summer Jazz"]),
        ("sale badge", ["Sale"]),
        ("a badge for the NASA launch", ["NASA Launch"]),
    ],
)
def test_the_text_to_set_is_found(prompt: str, expected: list[str]) -> None:
    assert texts(prompt) == expected


@pytest.mark.parametrize(
    ("prompt", "source"),
    [('badge "x"', "quoted"), ("badge saying x", "said"), ("badge about x", "subject")],
)
def test_where_the_text_came_from_is_told(prompt: str, source: str) -> None:
    assert parse_prompt(prompt).text_source == source


def test_stars_mark_emphasis() -> None:
    lines = parse_prompt('badge "now *50%* off"').layout.lines
    assert [(line.text, line.emphasis) for line in lines] == [("now", False), ("50%", True), ("off", False)]


def test_after_the_title_of_a_poster_comes_body_text() -> None:
    poster = parse_prompt('poster "Title" "more" "and more"').layout
    assert [line.role for line in poster.lines] == [Role.TITLE, Role.BODY, Role.BODY]
    badge = parse_prompt('badge "one" "two"').layout
    assert [line.role for line in badge.lines] == [Role.TITLE, Role.TITLE]


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ('a green ui-badge "x"', {"kind": Kind.BADGE, "fill": "green"}),
        ('orange pill "x" with a star icon', {"kind": Kind.PILL, "fill": "orange", "icon": "star"}),
        ('a button "x" with a shopping cart icon', {"kind": Kind.BUTTON, "icon": "shopping-cart"}),
        ('banner "x" in #0af and gold', {"kind": Kind.BANNER, "fill": "#0af", "accent": "gold"}),
        ('price tag "x"', {"kind": Kind.LABEL}),
        ('flyer "x"', {"kind": Kind.POSTER}),
        ('card "x" with rounded corners', {"kind": Kind.CARD, "corner": Corner.ROUNDED}),
        ('badge "x" with sharp corners', {"corner": Corner.SQUARE}),
        ('black badge "x" with gold letters', {"fill": "black", "ink": "gold"}),
        ('red badge "x" on a cream background', {"fill": "red", "page": "cream"}),
        ('badge "x" in the top right corner', {"anchor": Anchor.TOP_RIGHT}),
        ('badge "x" at the bottom', {"anchor": Anchor.BOTTOM}),
        ('badge "x" for brand acme', {"brand": "acme"}),
        ('badge "a red card"', {"kind": Kind.BADGE, "fill": None}),
    ],
)
def test_looks_are_read_outside_the_quotes(prompt: str, expected: dict[str, Any]) -> None:
    layout = parse_prompt(prompt).layout
    assert {name: getattr(layout, name) for name in expected} == expected


def test_palette_tokens_of_brands_are_colours_too() -> None:
    assert parse_prompt('a sunrise badge "x"', colour_tokens={"sunrise"}).layout.fill == "sunrise"


@pytest.mark.parametrize("prompt", ['badge ""', 'badge "  "', "a badge", "", "a green badge please"])
def test_nothing_to_set_is_an_error_that_says_what_to_do(prompt: str) -> None:
    with pytest.raises(errors.InvalidRequest, match="quotes"):
        parse_prompt(prompt)


def test_a_line_that_is_too_long_is_refused() -> None:
    with pytest.raises(errors.InvalidRequest, match="401 characters"):
        parse_prompt(f'badge "{"x" * 401}"')


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ('a poster of a sunset titled "Golden Hour"', "a poster of a sunset"),
        ('a green badge that says "SALE", glossy', "a green badge, glossy"),
        ('sunset over hills with the title "Dusk" and the sea', "sunset over hills and the sea"),
        ("a mountain poster saying Go Higher", "a mountain poster"),
        ("a lighthouse at night", "a lighthouse at night"),
        ('poster "A" and "B" of a forest', "poster of a forest"),
        ('a girl reading a book, titled "Quiet"', "a girl reading a book"),
        ('a red wall with "Hello" on it', "a red wall"),
        ('a beach with palms and the headline "Aloha"', "a beach with palms"),
    ],
)
def test_the_words_are_taken_out_for_the_model_that_paints(prompt: str, expected: str) -> None:
    assert strip_text(prompt) == expected


@given(st.text(max_size=80))
def test_any_prompt_is_parsed_or_refused(prompt: str) -> None:
    try:
        layout = parse_prompt(prompt).layout
    except errors.InvalidRequest:
        return
    assert all(line.text.strip() for line in layout.lines)


@given(st.text(alphabet="abc XYZ 12%&", min_size=1, max_size=30).filter(str.strip))
def test_quoted_text_is_set_word_for_word_and_stripped(text: str) -> None:
    prompt = f'a poster of hills "{text}" at dawn'
    assert parse_prompt(prompt).layout.text == text.strip()
    assert strip_text(prompt) == "a poster of hills at dawn"

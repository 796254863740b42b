import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from routing.examples import example_of
from routing.patterns import refusal


@pytest.mark.parametrize(
    "pattern",
    [
        "ui-badge",
        "(?i)Poster",
        "a+b*c?d{2,3}",
        "(cat|dog)s",
        r"\d{4}-\w+\s\.",
        "^start.*end$",
        "[a-f0-9]+",
        "[^a]",
        "[[:alpha:]]x",
        "(?P<name>x)(?:y)(z)",
        "a|b",
        "[é]",
        r"\bword\b",
        "x{2}?y*?",
    ],
)
def test_an_example_is_found_by_its_pattern(pattern):
    example = example_of(pattern)
    assert example is not None
    assert re2.search(pattern, example.text)


@pytest.mark.parametrize("pattern", [r"\pL", r"\Qa.b\E", "(?i:x)y", "x(?i)y", "(?U)a"])
def test_syntax_that_is_not_read_has_no_example(pattern):
    assert refusal(pattern) is None
    assert example_of(pattern) is None


@pytest.mark.parametrize(
    ("pattern", "other", "implied"),
    [
        ("big ui-badge", "ui-badge", True),
        ("ui-badge", "big ui-badge", False),
        ("poster.*cat", "cat", True),
        ("poster.*cat", "postercat", False),
        ("posters?", "poster", True),
        ("posters?", "posters", False),
        ("cat|dog", "cat", False),
        ("(cat)", "cat", False),
        ("(?i)cat", "cat", False),
        ("CAT", "(?i)cat", True),
        ("cat", "c.t", False),
        (r"a\.b", r"\.", True),
    ],
)
def test_what_one_pattern_says_about_another(pattern, other, implied):
    first, second = example_of(pattern), example_of(other)
    assert first is not None
    assert second is not None
    assert first.implies(second) is implied


PIECES = st.sampled_from(
    ["a", "b", "ab", ".", ".*", "a+", "b?", "(a|b)", "[ab]", r"\.", "a{2}", "|", "^", "$"]
)
PATTERNS = st.lists(PIECES, min_size=1, max_size=6).map("".join).filter(lambda each: refusal(each) is None)


@given(PATTERNS, PATTERNS, st.text("ab.", max_size=10))
def test_an_implication_is_never_wrong(pattern, other, text):
    first, second = example_of(pattern), example_of(other)
    if first and second and first.implies(second) and re2.search(pattern, text):
        assert re2.search(other, text)

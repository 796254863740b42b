import re2
from hypothesis import given, settings
from hypothesis import strategies as st

from routing.patterns import PatternSet, core, refusal

PIECES = st.sampled_from(
    ["a", "b", "ab", ".", ".*", ".+", "a*", r"\.", r"\*", "[ab]", "^", "$", "(a|b)", r"\\", "x?"]
)
PATTERNS = st.lists(PIECES, min_size=1, max_size=6).map("".join).filter(lambda each: refusal(each) is None)
TEXTS = st.text("ab.*\\x\n", max_size=12)


def test_the_seed_patterns_lose_what_says_nothing():
    assert core(".*ui-badge.*") == "ui-badge"
    assert core(".*.*x") == "x"
    assert core(r"x\.*") == r"x\.*"
    assert core(r"x\\.*") == r"x\\"
    assert core(".*?x") == ".*?x"
    assert core(r"\Qx.*\E") == r"\Qx.*\E"


@given(PATTERNS, TEXTS)
def test_the_core_is_found_where_the_pattern_is(pattern, text):
    assert bool(re2.search(core(pattern), text)) == bool(re2.search(pattern, text))


@given(st.lists(PATTERNS, min_size=1, max_size=8), TEXTS)
def test_a_set_finds_what_each_pattern_finds(patterns, text):
    expected = {index for index, pattern in enumerate(patterns) if re2.search(pattern, text)}
    assert PatternSet(patterns).found_in(text) == expected


@settings(max_examples=15)
@given(TEXTS)
def test_a_set_without_memory_finds_the_same(text):
    patterns = [f"a{i}.*b|x" for i in range(300)] + ["a", "b$"]
    expected = {index for index, pattern in enumerate(patterns) if re2.search(pattern, text)}
    assert PatternSet(patterns, max_mem_bytes=1 << 12).found_in(text) == expected


def test_a_set_that_runs_out_of_memory_while_matching_still_answers():
    patterns = [f"word{i}.{{0,40}}end{i}" for i in range(60)]
    starved = PatternSet(patterns, max_mem_bytes=1 << 21)
    text = "word7 and some more end7 " * 20
    assert starved.found_in(text) == {7}


def test_an_empty_set_finds_nothing():
    assert PatternSet([]).found_in("anything") == set()


def test_what_re2_cannot_do_is_refused_with_its_reason():
    assert "invalid perl operator: (?=" in str(refusal("(?=look)"))
    assert "invalid escape sequence" in str(refusal(r"(a)\1"))
    assert "missing )" in str(refusal("(a"))
    assert refusal("(?i)poster") is None

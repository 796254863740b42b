import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapidocr import RapidOCR

from audits.criteria.legibility import character_error_rate, read_text
from audits.criteria.subject import Subject
from tests.audits.criteria.drawn import flat, measure, picture, value, words


@pytest.mark.parametrize(
    ("wanted", "read", "rate"),
    [
        ("SALE", "SALE", 0),
        ("SALE", "sa le", 0),
        ("SALE", "SA1E", 1 / 4),
        ("SALE", "SALES", 1 / 4),
        ("SALE", "SAE", 1 / 4),
        ("SALE", "", 1),
        ("kitten", "sitting", 3 / 6),
        ("A", "something else", 13),
        ("it’s", "it's", 0),
    ],
)
def test_known_error_rates(wanted: str, read: str, rate: float) -> None:
    assert character_error_rate(wanted, read) == pytest.approx(rate)


@given(st.text("abc", min_size=1, max_size=8), st.text("abc", max_size=8))
def test_as_many_edits_as_the_longer_text_are_enough(wanted: str, read: str) -> None:
    edits = character_error_rate(wanted, read) * len(wanted)
    assert abs(len(wanted) - len(read)) <= round(edits) <= max(len(wanted), len(read))


def test_reads_what_the_engine_reads() -> None:
    engine = RapidOCR(
        params={
            "Det.limit_side_len": 256,
            "Det.limit_type": "max",
            "Global.use_cls": False,
            "Global.log_level": "error",
        }
    )
    for text in ("HELLO", "SALE 50%", "Fresh bread"):
        pixels = np.asarray(words(text))
        assert read_text(pixels) == " ".join(engine(pixels[..., ::-1]).txts)


def test_words_as_asked_pass_and_others_are_named() -> None:
    right = Subject([picture(words("HELLO"))], text="Hello")
    assert measure("text_exact", right).value == 1
    wrong = measure("text_exact", Subject([picture(words("HELP"))], text="HELLO"))
    assert (wrong.value, wrong.note) == (0, 'read "HELP"')
    assert value("character_error_rate", words("HELP"), text="HELLO") == pytest.approx(2 / 5)


def test_letters_that_nobody_asked_for_are_counted() -> None:
    assert value("no_text", words("HELLO")) == 5
    assert value("no_text", flat("red")) == 0

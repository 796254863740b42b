import random

from hypothesis import given
from hypothesis import strategies as st

from models.training.captions import (
    NATURAL_COLOURS,
    Subject,
    all_words,
    caption,
    is_held_out,
    plain_caption,
)
from models.training.text import MAX_TOKENS, new_tokenizer
from models.training.things import BACKGROUNDS, PAINTABLE, PAINTS, SIDED, STYLES, thing_words

THINGS = thing_words()
TOKENIZER = new_tokenizer()

subjects = st.builds(
    Subject,
    thing=st.sampled_from(sorted(THINGS)),
    style=st.sampled_from(sorted(STYLES)),
    paint=st.none(),
    background=st.sampled_from(sorted(BACKGROUNDS)),
) | st.builds(
    Subject,
    thing=st.sampled_from(sorted(PAINTABLE)),
    style=st.sampled_from(sorted(STYLES)),
    paint=st.sampled_from(sorted(PAINTS)),
    background=st.sampled_from(sorted(BACKGROUNDS)),
)


def words_of(text: str) -> list[str]:
    return text.replace(",", " ").split()


@given(subjects, st.integers(0, 10**6))
def test_a_caption_fits_the_encoder_and_uses_only_words_that_are_one_token(
    subject: Subject, seed: int
) -> None:
    text = caption(subject, random.Random(seed))
    tokens = TOKENIZER(text).input_ids
    assert len(tokens) <= MAX_TOKENS
    assert len(tokens) == 2 + len(words_of(text)) + text.count(",")
    assert set(words_of(text)) <= all_words()


@given(subjects, st.integers(0, 10**6))
def test_a_caption_names_the_thing_and_any_background_but_white(subject: Subject, seed: int) -> None:
    text = caption(subject, random.Random(seed))
    assert any(words in text for words in THINGS[subject.thing])
    if subject.background not in ("white", "grey"):
        assert subject.background in words_of(text)
    if subject.paint is not None:
        assert subject.paint in words_of(text)


def test_the_plain_caption_reads_as_english() -> None:
    assert (
        plain_caption(Subject("red-apple", "flat", None, "blue"))
        == "an apple on a blue background, flat style"
    )
    assert (
        plain_caption(Subject("balloon", "glossy", "green", "orange"))
        == "a green balloon on an orange background, glossy style"
    )


def test_one_combination_in_twenty_is_held_out_and_every_thing_keeps_most_of_its_own() -> None:
    share_by_thing = {
        thing: sum(is_held_out(thing, style, word) for style in STYLES for word in BACKGROUNDS)
        / (len(STYLES) * len(BACKGROUNDS))
        for thing in THINGS
    }
    assert 0.04 < sum(share_by_thing.values()) / len(share_by_thing) < 0.06
    assert max(share_by_thing.values()) < 0.3


def test_no_word_names_two_things() -> None:
    spoken = [word for words in THINGS.values() for word in words]
    assert len(spoken) == len(set(spoken))


def test_lists_about_things_speak_of_things_that_exist() -> None:
    assert set(THINGS) >= PAINTABLE
    assert set(THINGS) >= SIDED
    assert set(THINGS) >= set(NATURAL_COLOURS)

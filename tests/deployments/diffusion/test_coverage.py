import json
from pathlib import Path

import pytest

from deployments.diffusion.coverage import Vocabulary, read_vocabulary

CONTENT = {
    "schema_version": 1,
    "things": {"dog": "dog", "puppy": "dog", "hot dog": "hot dog", "apple": "apple"},
    "styles": ["flat"],
    "backgrounds": {"blue": [0, 0, 255]},
    "paints": ["red"],
    "understood_without_effect": ["a", "on", "background", "style"],
}


@pytest.fixture
def vocabulary(tmp_path: Path) -> Vocabulary:
    (tmp_path / "vocabulary.json").write_text(json.dumps(CONTENT))
    read = read_vocabulary(str(tmp_path))
    assert read is not None
    return read


@pytest.mark.parametrize(
    ("prompt", "things", "unknown"),
    [
        ("a red apple on a blue background, flat style", ("apple",), ()),
        ("A PUPPY", ("dog",), ()),
        ("a hot dog", ("hot dog",), ()),
        ("a hot apple", ("apple",), ("hot",)),
        ("a castle, a castle and a dog", ("dog",), ("castle", "and")),
        ("", (), ()),
    ],
)
def test_the_longest_phrase_counts_and_what_is_left_is_unknown(
    vocabulary: Vocabulary, prompt: str, things: tuple[str, ...], unknown: tuple[str, ...]
) -> None:
    coverage = vocabulary.coverage(prompt)
    assert (coverage.things, coverage.unknown) == (things, unknown)


def test_the_ratio_is_of_words(vocabulary: Vocabulary) -> None:
    assert vocabulary.coverage("a castle").known_ratio == 0.5
    assert vocabulary.coverage("123").known_ratio == 1.0


def test_without_a_file_no_claim_is_made_and_another_schema_is_refused(tmp_path: Path) -> None:
    assert read_vocabulary(str(tmp_path)) is None
    (tmp_path / "vocabulary.json").write_text('{"schema_version": 2}')
    with pytest.raises(ValueError, match="schema_version 2"):
        read_vocabulary(str(tmp_path))


def test_the_embedded_model_knows_its_demo() -> None:
    shipped = read_vocabulary(str(Path(__file__).parents[3] / "models" / "default"))
    assert shipped is not None
    coverage = shipped.coverage("a red apple on a blue background, flat style")
    assert coverage.unknown == ()
    assert len(coverage.things) == 1

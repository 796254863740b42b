import pytest

from routing.document import MAX_DEPTH, DocumentError, parse


def refusal(text: str | bytes) -> str:
    with pytest.raises(DocumentError) as refused:
        parse(text, "p.yaml")
    return str(refused.value)


def test_values_keep_their_types_and_lists_become_tuples():
    document = parse("a: [1, 2.5, yes, null, '3', 2024-01-01]\nb: {c: x}", "p.yaml")
    assert document.value == {"a": (1, 2.5, True, None, "3", "2024-01-01"), "b": {"c": "x"}}


def test_a_problem_is_found_at_its_place():
    document = parse("a:\n  - b: 1\n  - b: 2\n", "p.yaml")
    assert str(document.problem_at(("a", 1, "b"), "no")) == "p.yaml:3:8: a[1].b: no"
    assert str(document.problem_at(("a", 1, "b"), "no", of_key=True)) == "p.yaml:3:5: a[1].b: no"


def test_a_problem_of_something_missing_is_at_what_encloses_it():
    document = parse("a:\n  - b: 1\n", "p.yaml")
    assert str(document.problem_at(("a", 0, "model"), "required")) == "p.yaml:2:5: a[0].model: required"


def test_merged_mappings_yield_to_what_is_written():
    document = parse("base: &b {x: 1, y: 2}\nuse: {<<: *b, y: 3}", "p.yaml")
    assert isinstance(document.value, dict)
    assert document.value["use"] == {"x": 1, "y": 3}
    assert document.problem_at(("use", "x"), "").line == 1


def test_an_empty_document_is_none():
    assert parse(b"", "p.yaml").value is None
    assert parse("# only a comment\n", "p.yaml").value is None


def test_a_byte_order_mark_is_no_problem():
    assert parse(b"\xef\xbb\xbfa: 1", "p.yaml").value == {"a": 1}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: 2\na: 3\n", "p.yaml:3:1: a: this key is written twice"),
        (b"a: \xff\n", "p.yaml:1:4: (top level): not UTF-8: byte 0xff"),
        ("a: [1\n", "not YAML"),
        ("a: *nowhere\n", "undefined alias"),
        ("a: &x [*x]\n", "contains a reference to itself"),
        ("--- 1\n--- 2\n", "another document"),
        (
            "a: !!python/object:os.system x\n",
            "the tag tag:yaml.org,2002:python/object:os.system is not supported",
        ),
        ("a: !!binary aGk=\n", "not supported"),
        ("? [1, 2]\n: 3\n", "a key must be text"),
        ("a: \x00\n", "not YAML: character #x0000"),
        ("a: \ud800\n", "lone surrogate"),
        ("<<: 3\n", "`<<` takes a mapping"),
        ("a: " + "9" * 5000, "not a valid int"),
        ("[" * 100_000, f"nested deeper than {MAX_DEPTH} levels"),
        ("- " * 5_000 + "x", f"nested deeper than {MAX_DEPTH} levels"),
    ],
)
def test_what_is_refused(text, expected):
    assert expected in refusal(text)


def test_references_that_expand_without_bound_are_refused():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)]
    assert "references expand to more than" in refusal("\n".join(lines))


def test_every_duplicate_is_reported_at_once():
    assert len(refusal("a: 1\na: 2\nb: {c: 1, c: 2}\n").splitlines()) == 2

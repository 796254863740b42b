import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batches.items import MAX_PROBLEMS, Body, BodyProblem, ItemsError, read_items, with_defaults


def anything(body: Body) -> Body:
    return body


def only_prompts(body: Body) -> Body:
    for name in sorted(body.keys() - {"prompt"}):
        raise BodyProblem(f"{name}: is not a field of a request")
    return body


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_bytes(text.encode())
    return path


def jsonl(folder: Path, *rows: Any) -> Path:
    lines = (row if isinstance(row, str) else json.dumps(row) for row in rows)
    return written(folder, "items.jsonl", "\n".join(lines))


def test_rows_of_both_forms(tmp_path: Path) -> None:
    path = jsonl(
        tmp_path,
        {"id": "a", "prompt": "one", "atelier": {"seed": 7, "priority": "interactive"}},
        "",
        {"custom_id": "b", "method": "POST", "url": "/v1/images/generations", "body": {"prompt": "two"}},
        {"prompt": "three"},
    )
    first, second, third = read_items(path, anything)
    assert (first.id, first.line) == ("a", 1)
    assert first.body == {"prompt": "one", "atelier": {"seed": 7, "priority": "interactive"}}
    assert (second.id, second.line, second.body["prompt"]) == ("b", 3, "two")
    assert second.body["atelier"]["priority"] == "batch"
    assert third.id.startswith("item-")


def test_a_csv_file_names_fields_by_its_first_row(tmp_path: Path) -> None:
    header = "\ufeffid,prompt,size,atelier.seed,atelier.labels.brand\r\n"
    text = f'{header}a,"one,\nand more",512x512,7,acme\r\n\r\nb,two,,,\r\n'
    first, second = read_items(written(tmp_path, "items.csv", text), anything)
    assert (first.line, second.line) == (2, 5)
    assert first.body == {
        "prompt": "one,\nand more",
        "size": "512x512",
        "atelier": {"seed": "7", "labels": {"brand": "acme"}, "priority": "batch"},
    }
    assert sorted(second.body) == ["atelier", "prompt"]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (["{"], "items.jsonl:1: is not JSON: Expecting property name"),
        (["[" * 100_000], "items.jsonl:1: is nested too deeply"),
        (["7"], "items.jsonl:1: is not a JSON object"),
        (['{"prompt": "a"}', '{"prompt": "b", "sise": 1}'], "items.jsonl:2: sise: is not a field"),
        (['{"id": "../a", "prompt": "a"}'], "id '../a' cannot name a file"),
        (['{"id": ".a", "prompt": "a"}'], "cannot name a file"),
        (['{"id": 7, "prompt": "a"}'], "id '7' cannot name a file"),
        (['{"id": "a", "prompt": "a"}'] * 2, "items.jsonl:2: id 'a' is that of line 1 too"),
        (['{"prompt": "a"}'] * 2, "items.jsonl:2: asks for the same as line 1: give both an id"),
        (['{"custom_id": "a", "body": 7}'], "body must be a JSON object"),
        (['{"custom_id": "a", "body": {}, "prompt": "a"}'], "unknown field 'prompt' beside custom_id"),
        (['{"custom_id": "a", "method": "GET", "body": {}}'], "method must be POST"),
        (['{"custom_id": "a", "url": "/v1/x", "body": {}}'], "url must be /v1/images/generations"),
        (["", "  "], "holds no items"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, rows: list[str], expected: str) -> None:
    with pytest.raises(ItemsError) as raised:
        read_items(jsonl(tmp_path, *rows), only_prompts)
    assert expected in str(raised.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("id,size\na,1\n", "items.csv:1: has no column prompt"),
        ("prompt,prompt\na,b\n", "items.csv:1: a column is there twice"),
        ("prompt\na\nb,c\n", "items.csv:3: has 2 cells; the first row names 1 columns"),
        ('prompt\n"a" b\n', "items.csv:2: is not CSV"),
        ('prompt\n"a\n', "is not CSV: unexpected end of data"),
        ("", "has no column prompt"),
    ],
)
def test_what_is_wrong_with_a_csv_file(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(ItemsError) as raised:
        read_items(written(tmp_path, "items.csv", text), anything)
    assert expected in str(raised.value)


def test_every_wrong_line_is_named_up_to_a_number(tmp_path: Path) -> None:
    with pytest.raises(ItemsError) as raised:
        read_items(jsonl(tmp_path, *["{"] * 100), anything)
    lines = str(raised.value).splitlines()
    assert len(lines) == MAX_PROBLEMS + 1
    assert [":1:" in lines[0], ":20:" in lines[19]] == [True, True]


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ItemsError, match="cannot be read"):
        read_items(tmp_path / "none.jsonl", anything)
    (tmp_path / "latin.csv").write_bytes(b"prompt\n\xe9\n")
    with pytest.raises(ItemsError, match=r"is not UTF-8 \(byte 7\)"):
        read_items(tmp_path / "latin.csv", anything)


@given(st.text(max_size=20), st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5)))
def test_a_seed_is_made_from_the_item_and_stays(item_id: str, body: dict[str, Any]) -> None:
    body = {"prompt": "a", **body, "atelier": {"asset": "x"}}
    once, again = with_defaults(item_id, body), with_defaults(item_id, dict(reversed(body.items())))
    assert once == again
    assert 0 <= once["atelier"]["seed"] < 2**32
    assert with_defaults(item_id, once) == once
    assert body["atelier"] == {"asset": "x"}

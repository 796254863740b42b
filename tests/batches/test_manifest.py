import json
from pathlib import Path
from typing import Any

import pytest

from batches.items import Item
from batches.manifest import Entry, Manifest, ManifestError
from tests.batches.endpoints import item


def entry(of: Item, **changes: Any) -> Entry:
    given: dict[str, Any] = {"status": "ok", "attempts": 1, "total_ms": 1.0, "files": ["a"], **changes}
    return Entry(of.id, of.line, request_sha256=of.request_sha256, **given)


def test_what_has_ended_is_not_left(tmp_path: Path) -> None:
    items = [item("a"), item("b"), item("c")]
    with Manifest(tmp_path) as manifest:
        manifest.append(entry(items[1]))
        manifest.append(entry(items[0], status="failed", error={"code": "timeout"}))
        before = manifest.entries
    with Manifest(tmp_path) as manifest:
        assert manifest.left(items) == [items[2]]
        assert {key: value.id for key, value in manifest.entries.items()} == {"a": "a", "b": "b"}
        assert manifest.entries["a"].error == before["a"].error


@pytest.mark.parametrize("torn", [b'{"id": "b"', b'{"id": "b", "line": 2}', b"\x00\xff"])
def test_a_line_that_was_cut_off_is_not_one(tmp_path: Path, torn: bytes) -> None:
    with Manifest(tmp_path) as manifest:
        manifest.append(entry(item("a")))
    path = tmp_path / "manifest.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + torn)
    with Manifest(tmp_path) as manifest:
        assert list(manifest.entries) == ["a"]
        manifest.append(entry(item("b")))
    assert [json.loads(line)["id"] for line in path.read_text().splitlines()] == ["a", "b"]


def test_an_image_that_was_cut_off_is_removed(tmp_path: Path) -> None:
    with Manifest(tmp_path) as manifest:
        assert manifest.write_image("a.png", b"whole") == "images/a.png"
    (tmp_path / "images" / ".b.png.unfinished").write_bytes(b"half")
    with Manifest(tmp_path):
        assert [path.name for path in (tmp_path / "images").iterdir()] == ["a.png"]


def test_two_runs_cannot_write_to_one_folder(tmp_path: Path) -> None:
    with Manifest(tmp_path), pytest.raises(ManifestError, match="another run writes to"):
        Manifest(tmp_path)
    with Manifest(tmp_path):
        pass


def test_a_manifest_of_other_items_is_refused(tmp_path: Path) -> None:
    with Manifest(tmp_path) as manifest:
        manifest.append(entry(item("a")))
        with pytest.raises(ManifestError, match="has 'a', which is not among the items"):
            manifest.left([item("b")])
        with pytest.raises(ManifestError, match="line 7 asks for 'a' otherwise"):
            manifest.left([item("a", line=7, size="8x8")])


def test_failures_can_be_forgotten(tmp_path: Path) -> None:
    items = [item("a"), item("b")]
    with Manifest(tmp_path) as manifest:
        manifest.append(entry(items[0], status="failed"))
        manifest.append(entry(items[1]))
        assert manifest.forget_failed() == 1
        assert manifest.left(items) == [items[0]]
        manifest.append(entry(items[0]))
    with Manifest(tmp_path) as manifest:
        assert list(manifest.entries) == ["b", "a"]


@pytest.mark.parametrize("text", ["{}\n", "7\n", "nonsense\n"])
def test_something_else_is_not_written_over(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.jsonl").write_text(text)
    with pytest.raises(ManifestError, match=r"manifest\.jsonl:1: is not a line of a manifest"):
        Manifest(tmp_path)
    assert (tmp_path / "manifest.jsonl").read_text() == text


def test_a_line_that_is_there_twice_is_named(tmp_path: Path) -> None:
    with Manifest(tmp_path) as manifest:
        manifest.append(entry(item("a")))
    path = tmp_path / "manifest.jsonl"
    path.write_text(path.read_text() * 2)
    with pytest.raises(ManifestError, match=":2: 'a' is there twice"):
        Manifest(tmp_path)


def test_a_place_that_is_no_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ManifestError, match="cannot be written to"):
        Manifest(tmp_path / "file")

from collections.abc import Iterator
from pathlib import Path

import pytest

from serve.batches.bodies import Bodies, BodyMissing


@pytest.fixture(params=["file", "memory"])
def bodies(request: pytest.FixtureRequest, tmp_path: Path) -> Bodies:
    return Bodies(f"file://{tmp_path}/files" if request.param == "file" else f"memory://{tmp_path}")


def test_what_is_written_is_read(bodies: Bodies) -> None:
    assert bodies.write("parts/b/1", [b"one", b"", b"two"]) == 6
    assert b"".join(bodies.read("parts/b/1")) == b"onetwo"
    bodies.write("parts/b/1", [b"three"])
    assert b"".join(bodies.read("parts/b/1")) == b"three"


def test_folders_are_listed_and_removed(bodies: Bodies) -> None:
    assert bodies.folders("parts") == []
    bodies.write("parts/b/1", [b"one"])
    assert bodies.folders("parts") == ["b"]
    bodies.remove_folder("parts/b")
    bodies.remove_folder("parts/b")
    assert bodies.folders("parts") == []


def test_what_is_not_there_is_said_before_anything_is_read(bodies: Bodies) -> None:
    bodies.remove("none")
    with pytest.raises(BodyMissing):
        bodies.read("none")
    with pytest.raises(BodyMissing):
        bodies.lines("none", 10)


def test_lines_come_without_ends_and_long_ones_cut(bodies: Bodies) -> None:
    bodies.write("a", [b"12345\r\n\n123", b"4567890\n12345\nlast"])
    assert list(bodies.lines("a", 7)) == [b"12345", b"", b"12345678", b"12345", b"last"]


def test_a_write_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    bodies = Bodies(f"file://{tmp_path}")
    bodies.write("a", [b"before"])

    def broken() -> Iterator[bytes]:
        yield b"half"
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        bodies.write("a", broken())
    assert b"".join(bodies.read("a")) == b"before"
    assert [each.name for each in tmp_path.iterdir()] == ["a"]

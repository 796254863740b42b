from pathlib import Path

import pytest

from deployments.types import EncodedImage, ImageFormat
from serve.files import ImageFiles

IMAGE = EncodedImage(b"\x89PNG-bytes", ImageFormat.PNG, 4, 4)


@pytest.fixture
def files(tmp_path: Path) -> ImageFiles:
    return ImageFiles(f"file://{tmp_path}/images", ttl_s=60)


def test_what_is_put_is_got_until_it_expires(files: ImageFiles) -> None:
    name = files.put(IMAGE, now_unix_s=2_000_000_000)
    stored = files.get(name, 2_000_000_059)
    assert stored is not None
    assert (stored.data, stored.media_type) == (IMAGE.data, "image/png")
    assert files.get(name, 2_000_000_061) is None


def test_names_cannot_be_guessed(files: ImageFiles) -> None:
    names = {files.put(IMAGE, 2_000_000_000) for _ in range(20)}
    assert len(names) == 20
    assert all(len(name.split("-", 1)[1].split(".")[0]) == 32 for name in names)


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "x", "2000000060-short.png", "2000000060-" + "a" * 32 + ".exe"]
)
def test_other_names_are_nothing(files: ImageFiles, name: str) -> None:
    assert files.get(name, 0) is None


def test_only_expired_files_are_swept(files: ImageFiles, tmp_path: Path) -> None:
    old = files.put(IMAGE, 2_000_000_000)
    new = files.put(IMAGE, 2_000_000_100)
    (tmp_path / "images" / "not-ours.txt").write_text("stays")
    assert files.remove_expired(2_000_000_100) == 1
    assert files.get(old, 2_000_000_000) is None
    assert files.get(new, 2_000_000_100) is not None
    assert (tmp_path / "images" / "not-ours.txt").exists()

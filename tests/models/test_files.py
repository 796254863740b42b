import base64
import hashlib
import io
import tarfile
from pathlib import Path

import pytest
import torch

from models.training import checkpoints, packages, places


@pytest.fixture
def training_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(places, "CHECKPOINTS", tmp_path / "checkpoints")
    monkeypatch.setattr(places, "PACKAGES", tmp_path / "packages")
    return tmp_path


def test_a_checkpoint_comes_back_as_it_was(training_dir: Path) -> None:
    assert checkpoints.load("network") is None
    checkpoints.save("network", {"model": {"w": torch.arange(3.0)}, "step": 7})
    kept = checkpoints.load("network")
    assert kept is not None
    assert kept["step"] == 7
    assert kept["model"]["w"].tolist() == [0.0, 1.0, 2.0]


def test_an_interrupted_write_leaves_the_checkpoint_before(
    training_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints.save("network", {"step": 1})

    def interrupted(state: object, path: Path) -> None:
        path.write_bytes(b"half a checkpo")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        checkpoints.save("network", {"step": 2})
    kept = checkpoints.load("network")
    assert kept is not None
    assert kept["step"] == 1


def registry_with(tarball: bytes, folder: Path) -> str:
    place = folder / "registry/icons/-"
    place.mkdir(parents=True)
    (place / "icons-1.0.0.tgz").write_bytes(tarball)
    return (folder / "registry").as_uri()


def tarball_of(content: bytes) -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w:gz") as archive:
        member = tarfile.TarInfo("package/icons.json")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return written.getvalue()


def test_a_package_is_fetched_once_and_checked(training_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tarball = tarball_of(b'{"icons": {}}')
    monkeypatch.setattr(packages, "REGISTRY", registry_with(tarball, training_dir))
    digest = base64.b64encode(hashlib.sha512(tarball).digest()).decode()
    monkeypatch.setattr(
        packages, "ICON_SETS", {"icons": packages.Package("icons", "1.0.0", digest, ("icons.json",))}
    )
    assert packages.icon_set("icons") == {"icons": {}}
    monkeypatch.setattr(packages, "REGISTRY", "file:///nowhere")
    assert packages.icon_set("icons") == {"icons": {}}


def test_a_changed_package_is_refused_and_not_kept(
    training_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packages, "REGISTRY", registry_with(tarball_of(b"{}"), training_dir))
    monkeypatch.setattr(
        packages, "ICON_SETS", {"icons": packages.Package("icons", "1.0.0", "bm90IGl0", ("icons.json",))}
    )
    with pytest.raises(ValueError, match=r"icons-1\.0\.0\.tgz: sha512 is .*, pinned is bm90IGl0"):
        packages.icon_set("icons")
    assert not places.PACKAGES.exists()

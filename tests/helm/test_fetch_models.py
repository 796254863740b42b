"""files/fetch_models.py: weights appear whole, checked, and once."""

import hashlib
import importlib.util
import json
import threading
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from tests.helm.rendering import CHART, example, one, render

Model = dict[str, Any]


def _program() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fetch_models", CHART / "files" / "fetch_models.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


program = _program()


class Hub:
    """Writes one file named after the revision; counts calls."""

    def __init__(self, content: bytes = b"weights") -> None:
        self.content = content
        self.calls = 0

    def __call__(self, model: Model, folder: Path) -> None:
        self.calls += 1
        folder.mkdir(exist_ok=True)
        (folder / "model.safetensors").write_bytes(self.content + model["revision"].encode())


def _model(revision: str = "a" * 40, **more: Any) -> Model:
    return {"folder": "sdxl", "repository": "a/b", "revision": revision, **more}


def _document(root: Path, *models: Model) -> dict[str, Any]:
    return {"root": str(root), "models": list(models)}


def test_fetches_once(tmp_path: Path) -> None:
    hub = Hub()
    for _ in range(2):
        program.fetch(_document(tmp_path, _model()), hub)
    assert hub.calls == 1
    assert (tmp_path / "sdxl" / "model.safetensors").is_file()
    assert sorted(p.name for p in tmp_path.iterdir()) == [".lock", "sdxl"]


def test_new_revision_replaces_the_folder(tmp_path: Path) -> None:
    hub = Hub()
    program.fetch(_document(tmp_path, _model("a" * 40)), hub)
    program.fetch(_document(tmp_path, _model("b" * 40)), hub)
    assert (tmp_path / "sdxl" / "model.safetensors").read_bytes() == b"weights" + b"b" * 40


def test_wrong_checksum_leaves_no_folder(tmp_path: Path) -> None:
    model = _model(sha256={"model.safetensors": "0" * 64})
    with pytest.raises(program.FetchError, match=r"model\.safetensors has SHA-256 .*, expected 0000"):
        program.fetch(_document(tmp_path, model), Hub())
    assert not (tmp_path / "sdxl").exists()
    assert not program.is_complete(tmp_path, model)


def test_right_checksum_is_accepted(tmp_path: Path) -> None:
    digest = hashlib.sha256(b"weights" + b"a" * 40).hexdigest()
    model = _model(sha256={"model.safetensors": digest})
    program.fetch(_document(tmp_path, model), Hub())
    assert program.is_complete(tmp_path, model)


def test_checksum_of_a_file_that_did_not_come(tmp_path: Path) -> None:
    with pytest.raises(program.FetchError, match="was not downloaded"):
        program.fetch(_document(tmp_path, _model(sha256={"other.bin": "0" * 64})), Hub())


def test_interrupted_download_is_not_complete(tmp_path: Path) -> None:
    def broken(model: Model, folder: Path) -> None:
        Hub()(model, folder)
        raise ConnectionError("lost")

    with pytest.raises(ConnectionError):
        program.fetch(_document(tmp_path, _model()), broken)
    assert not program.is_complete(tmp_path, _model())
    program.fetch(_document(tmp_path, _model()), Hub())
    assert program.is_complete(tmp_path, _model())


def test_two_pods_on_one_folder_fetch_once(tmp_path: Path) -> None:
    hub = Hub()
    threads = [
        threading.Thread(target=program.fetch, args=(_document(tmp_path, _model()), hub)) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert hub.calls == 1


def test_waits_until_another_pod_has_fetched(tmp_path: Path) -> None:
    slept: list[float] = []

    def fetch_meanwhile(seconds: float) -> None:
        slept.append(seconds)
        program.fetch(_document(tmp_path, _model()), Hub())

    program.wait(_document(tmp_path, _model()), sleep=fetch_meanwhile)
    assert len(slept) == 1


def test_an_earlier_revision_is_waited_past(tmp_path: Path) -> None:
    program.fetch(_document(tmp_path, _model("a" * 40)), Hub())
    assert not program.is_complete(tmp_path, _model("b" * 40))


def test_reads_what_the_chart_writes() -> None:
    data = one(render(example("multi-gpu")), "ConfigMap", "atelier-models")["data"]
    document = json.loads(data["models.json"])
    assert document["root"] == "/models"
    assert [model["folder"] for model in document["models"]] == ["sdxl", "sdxl-turbo", "swin2sr"]
    assert data["fetch_models.py"].strip() == (CHART / "files" / "fetch_models.py").read_text().strip()


@pytest.mark.parametrize(("kind", "mode"), [("pvc", "wait"), ("hostPath", "fetch"), ("emptyDir", "fetch")])
def test_who_fetches(kind: str, mode: str) -> None:
    model = {"folder": "sdxl", "repository": "a/b", "revision": "a" * 40}
    cache = {"kind": kind, "models": [model], "pvc": {"size": "10Gi"}, "hostPath": "/var/lib/models"}
    objects = render({"modelCache": cache})
    spec = one(objects, "RayService")["spec"]["rayClusterConfig"]["workerGroupSpecs"][0]["template"]["spec"]
    assert spec["initContainers"][0]["command"][2] == mode
    assert [o["kind"] for o in objects].count("Job") == (1 if kind == "pvc" else 0)


def test_changed_list_is_another_job() -> None:
    """A Job's pod template cannot be changed: `helm upgrade` would fail."""

    def job(revision: str) -> str:
        model = {"folder": "sdxl", "repository": "a/b", "revision": revision}
        cache = {"kind": "pvc", "pvc": {"size": "10Gi"}, "models": [model]}
        name: str = one(render({"modelCache": cache}), "Job")["metadata"]["name"]
        return name

    assert job("a" * 40) == job("a" * 40) != job("b" * 40)
    assert yaml.safe_load(job("a" * 40)) == job("a" * 40)

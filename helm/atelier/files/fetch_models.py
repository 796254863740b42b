"""Fills a folder with the weights that a release needs, or waits until another pod has filled it.

Usage: fetch_models.py fetch|wait MODELS_JSON. The JSON is {"root": folder, "models": [{"folder",
"repository", "revision", "include"?, "sha256"?}]}. A model's folder appears under `root` only when it is
whole and its checksums agree, so that a reader never sees half of it. Knows nothing of Kubernetes or Ray.
"""

import contextlib
import fcntl
import hashlib
import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

MARKER = ".complete.json"
POLL_S = 5.0

Download = Callable[[dict[str, Any], Path], None]


class FetchError(RuntimeError):
    """Weights that cannot be used; the message names the model and the file."""


def fetch(document: dict[str, Any], download: Download) -> None:
    """Downloads what is missing. Safe to run in several pods on one folder at once."""
    root = Path(document["root"])
    with _lock(root):
        for model in document["models"]:
            if is_complete(root, model):
                print(f"{model['folder']}: present", flush=True)
                continue
            print(f"{model['folder']}: fetching {model['repository']}@{model['revision']}", flush=True)
            _fetch_one(root, model, download)


def is_complete(root: Path, model: dict[str, Any]) -> bool:
    """True when the folder holds exactly the model that is asked for, not an earlier revision."""
    with contextlib.suppress(FileNotFoundError, json.JSONDecodeError):
        return bool(json.loads((root / model["folder"] / MARKER).read_text()) == model)
    return False


def wait(document: dict[str, Any], sleep: Callable[[float], None] = time.sleep) -> None:
    root = Path(document["root"])
    missing = None
    while waiting := [model["folder"] for model in document["models"] if not is_complete(root, model)]:
        if waiting != missing:
            print(f"waiting for {', '.join(waiting)}", flush=True)
            missing = waiting
        sleep(POLL_S)


def verify(folder: Path, model: dict[str, Any]) -> None:
    """Raises FetchError for a file that is absent or whose SHA-256 differs."""
    for name, expected in model.get("sha256", {}).items():
        path = folder / name
        if not path.is_file():
            raise FetchError(f"{model['folder']}: {name} has a checksum but was not downloaded")
        with path.open("rb") as file:
            actual = hashlib.file_digest(file, "sha256").hexdigest()
        if actual != expected:
            raise FetchError(f"{model['folder']}: {name} has SHA-256 {actual}, expected {expected}")


def _fetch_one(root: Path, model: dict[str, Any], download: Download) -> None:
    partial = root / f".{model['folder']}.partial"
    download(model, partial)
    verify(partial, model)
    (partial / MARKER).write_text(json.dumps(model))
    final = root / model["folder"]
    replaced = root / f".{model['folder']}.replaced"
    shutil.rmtree(replaced, ignore_errors=True)
    if final.exists():
        final.rename(replaced)  # replicas that mapped the old files keep them
    partial.rename(final)
    shutil.rmtree(replaced, ignore_errors=True)


@contextlib.contextmanager
def _lock(root: Path) -> Iterator[None]:
    root.mkdir(parents=True, exist_ok=True)
    with (root / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _download_from_hub(model: dict[str, Any], folder: Path) -> None:
    from huggingface_hub import snapshot_download

    snapshot_download(
        model["repository"],
        revision=model["revision"],
        allow_patterns=model.get("include"),
        local_dir=folder,
    )


def main(arguments: list[str]) -> int:
    mode, path = arguments
    document = json.loads(Path(path).read_text())
    try:
        if mode == "fetch":
            fetch(document, _download_from_hub)
        else:
            wait(document)
    except FetchError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

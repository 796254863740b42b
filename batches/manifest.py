"""What has been rendered: a folder of images, and a manifest with one line for every item that has ended.

An item has ended once its line is on disk, and its images are there before it. So a run that is interrupted
at any moment goes on behind its last line; a line that was cut off is not one. Blocking.
"""

import contextlib
import fcntl
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

from batches.items import Item

MANIFEST = "manifest.jsonl"
IMAGES = "images"
_LOCK = ".lock"
_UNFINISHED = ".unfinished"


class ManifestError(ValueError):
    """The folder cannot be used for these items; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Entry:
    """How an item ended. `receipt` is the endpoint's; `error` has `code`, `message` and `status`."""

    id: str
    line: int
    status: Literal["ok", "failed"]
    request_sha256: str
    attempts: int
    total_ms: float
    files: Sequence[str] = ()
    receipt: Mapping[str, Any] | None = None
    error: Mapping[str, Any] | None = None

    @property
    def ok(self) -> bool:
        return self.status == "ok"


class Manifest:
    """The folder of one run, which no other run can open meanwhile. Use as a context manager."""

    def __init__(self, folder: Path) -> None:
        """Raises ManifestError."""
        self._folder = folder
        try:
            (folder / IMAGES).mkdir(parents=True, exist_ok=True)
            self._lock = (folder / _LOCK).open("w")
        except OSError as error:
            raise ManifestError(f"{folder} cannot be written to ({error.strerror})") from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.close()
            message = f"another run writes to {folder}: wait for it, or name another folder"
            raise ManifestError(message) from None
        self.entries = _read(folder / MANIFEST)
        for leftover in (folder / IMAGES).glob(f".*{_UNFINISHED}"):
            leftover.unlink()
        self._file: BinaryIO = (folder / MANIFEST).open("ab")
        _flush_folder(folder)

    def __enter__(self) -> "Manifest":
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):  # of a line that could not be written before either
            self._file.close()
        self._lock.close()

    def left(self, items: Sequence[Item]) -> list[Item]:
        """Those that have not ended. Raises ManifestError when the manifest is of other items."""
        wanted = {item.id: item for item in items}
        for entry in self.entries.values():
            item = wanted.get(entry.id)
            if item is None:
                raise ManifestError(
                    f"{self._folder / MANIFEST} has {entry.id!r}, which is not among the items: "
                    "name another folder, or bring the item back"
                )
            if item.request_sha256 != entry.request_sha256:
                raise ManifestError(
                    f"line {item.line} asks for {item.id!r} otherwise than {self._folder / MANIFEST} had it "
                    "rendered: give it another id, or name another folder"
                )
        return [item for item in items if item.id not in self.entries]

    def forget_failed(self) -> int:
        """Takes out what failed, to be rendered again; returns how many."""
        kept = [entry for entry in self.entries.values() if entry.ok]
        forgotten = len(self.entries) - len(kept)
        self._file.close()
        _write_whole(self._folder, MANIFEST, b"".join(map(_line, kept)))
        self._file = (self._folder / MANIFEST).open("ab")
        self.entries = {entry.id: entry for entry in kept}
        return forgotten

    def write_image(self, name: str, data: bytes) -> str:
        """Returns the file's path inside the folder."""
        _write_whole(self._folder / IMAGES, name, data)
        return f"{IMAGES}/{name}"

    def append(self, entry: Entry) -> None:
        """On disk when it returns."""
        assert entry.id not in self.entries
        self._file.write(_line(entry))
        self._file.flush()
        os.fsync(self._file.fileno())
        self.entries[entry.id] = entry


def _read(path: Path) -> dict[str, Entry]:
    """Cuts off a last line that was not written to its end."""
    if not path.exists():
        return {}
    data = path.read_bytes()
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        os.truncate(path, whole)
    entries: dict[str, Entry] = {}
    for number, line in enumerate(data[:whole].splitlines(), 1):
        try:
            entry = Entry(**json.loads(line))
        except (ValueError, TypeError):
            message = f"{path}:{number}: is not a line of a manifest: name another folder"
            raise ManifestError(message) from None
        if entry.id in entries:
            raise ManifestError(f"{path}:{number}: {entry.id!r} is there twice: name another folder")
        entries[entry.id] = entry
    return entries


def _line(entry: Entry) -> bytes:
    return json.dumps(asdict(entry), separators=(",", ":")).encode() + b"\n"


def _write_whole(folder: Path, name: str, data: bytes) -> None:
    beside = folder / f".{name}{_UNFINISHED}"
    with beside.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    beside.rename(folder / name)
    _flush_folder(folder)


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

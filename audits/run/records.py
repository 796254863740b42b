"""What every answer of a run was, one JSON line each, written the moment it came.

A picture is on the disk under its own hash before the line that names it, and a line counts once it ends:
whatever moment a run is killed at, what the file says is true, and the next run asks for the rest.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

PICTURES = "pictures"
FILE_NAME = "answers.jsonl"
OK = "ok"


class RecordsError(ValueError):
    """A file that is no record of answers."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`outcome` is `ok` or the endpoint's error code. `picture` is a path inside the run's folder. Times in
    milliseconds, from sending to the last byte. `models` are the stages that really answered, the first of
    which took `steps`; `revisions` are theirs."""

    cell: str
    outcome: str
    latency_ms: float
    error: str | None = None
    picture: str | None = None
    sha256: str | None = None
    models: tuple[str, ...] = ()
    revisions: tuple[str, ...] = ()
    steps: int | None = None
    substituted: bool = False
    gpu_s: float = 0.0
    cost_usd: float = 0.0
    receipt: Mapping[str, Any] | None = None


class Records:
    """The answers of a run's folder, and the file that they are added to. One process at a time."""

    def __init__(self, folder: Path) -> None:
        """Raises RecordsError. A line that was being written when the last run was killed is cut off."""
        self._folder = folder
        (folder / PICTURES).mkdir(parents=True, exist_ok=True)
        path = folder / FILE_NAME
        self.answers = _read(path)
        self._file: BinaryIO = path.open("ab")

    def close(self) -> None:
        self._file.close()

    def keep(self, image: bytes, extension: str) -> tuple[str, str]:
        """Writes a picture. Returns its path inside the folder, and its SHA-256."""
        digest = hashlib.sha256(image).hexdigest()
        name = f"{PICTURES}/{digest[:24]}.{extension}"
        path = self._folder / name
        if not path.exists():
            unfinished = path.with_suffix(".part")
            with unfinished.open("wb") as file:
                file.write(image)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(path)
        return name, digest

    def add(self, answer: Answer) -> None:
        """Returns when it is on the disk. Raises ValueError for a cell that has an answer."""
        if answer.cell in self.answers:
            raise ValueError(f"{answer.cell} was answered before")
        self._file.write(json.dumps(asdict(answer), ensure_ascii=False).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self.answers[answer.cell] = answer


def _read(path: Path) -> dict[str, Answer]:
    if not path.exists():
        return {}
    text = path.read_bytes()
    whole = text.rfind(b"\n") + 1
    if whole < len(text):
        with path.open("r+b") as file:
            file.truncate(whole)
    found: dict[str, Answer] = {}
    for number, line in enumerate(text[:whole].splitlines(), 1):
        try:
            fields = json.loads(line)
            answer = Answer(
                **{**fields, "models": tuple(fields["models"]), "revisions": tuple(fields["revisions"])}
            )
        except (ValueError, TypeError, KeyError):
            raise RecordsError(f"{path}:{number}: not an answer of this version's audits") from None
        found[answer.cell] = answer
    return found

"""The file of a review: one JSON object a line, only ever appended to.

A `session` line says who judges, by which seed the pairs were laid out, and in which order they come; a
`judgement` line says what was thought of one pair. A judgement's id is its session, pair and revision: the
same one sent again (a reload, a double press, a retry) is written once. The last revision of a pair
counts.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from threading import Lock
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

FILE_NAME = "reviews.jsonl"
LONGEST_FIX_MINUTES = 10_000


class JournalError(ValueError):
    """A file that is not a review's, or a judgement that does not belong to it."""


class Line(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PairLine(Line):
    """What stood where: ids of the samples."""

    id: str
    left: str
    right: str


class Session(Line):
    kind: Literal["session"] = "session"
    id: str
    reviewer: str
    seed: int
    started_unix_s: float
    pairs: tuple[PairLine, ...]


class Opinion(Line):
    """Of one picture. `minutes` is how long the fix would take, 0 for a picture that is accepted."""

    verdict: Literal["accept", "fix"]
    minutes: Annotated[float, Field(ge=0, le=LONGEST_FIX_MINUTES, allow_inf_nan=False)] = 0.0

    @model_validator(mode="after")
    def _minutes_are_of_a_fix(self) -> "Opinion":
        if self.verdict == "accept" and self.minutes:
            raise ValueError("minutes are of a fix, and the verdict is accept")
        return self


class Answer(Line):
    """What is said of a pair. `prefer` None: the person did not say. `looked_s` is how long it stood on
    the screen."""

    pair: str
    revision: Annotated[int, Field(ge=0)]
    left: Opinion
    right: Opinion
    prefer: Literal["left", "right", "neither"] | None = None
    looked_s: Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Judgement(Answer):
    """An answer in its session."""

    kind: Literal["judgement"] = "judgement"
    session: str
    at_unix_s: float

    @property
    def id(self) -> str:
        return f"{self.session}/{self.pair}/{self.revision}"


class Journal:
    """Opens or starts a review's file. Safe from several threads of one process; one process writes at a
    time."""

    def __init__(self, path: Path) -> None:
        """Raises JournalError for a file that is something else."""
        self._path = path
        self._lock = Lock()
        self.sessions: dict[str, Session] = {}
        self._judgements: dict[str, Judgement] = {}
        for line in _lines(path):
            if isinstance(line, Session):
                self.sessions[line.id] = line
            else:
                self._judgements.setdefault(line.id, line)

    def begin(self, session: Session) -> None:
        with self._lock:
            self._append(session)
            self.sessions[session.id] = session

    def add(self, judgement: Judgement) -> bool:
        """Whether it was new. On the disk before this returns. Raises JournalError for a pair that its
        session does not have."""
        session = self.sessions.get(judgement.session)
        if session is None or judgement.pair not in {pair.id for pair in session.pairs}:
            raise JournalError(f"no pair {judgement.pair} in session {judgement.session}")
        with self._lock:
            if judgement.id in self._judgements:
                return False
            self._append(judgement)
            self._judgements[judgement.id] = judgement
            return True

    def latest(self, session: str | None = None) -> dict[tuple[str, str], Judgement]:
        """By session and pair, the last revision."""
        found: dict[tuple[str, str], Judgement] = {}
        for each in self._judgements.values():
            key = each.session, each.pair
            if session in (None, each.session) and (key not in found or each.revision > found[key].revision):
                found[key] = each
        return found

    def _append(self, line: Line) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("ab+") as file:
            _end_last_line(file.fileno())
            file.write(line.model_dump_json().encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())


def _end_last_line(descriptor: int) -> None:
    """What a crash left of a line stays a line of its own."""
    size = os.fstat(descriptor).st_size
    if size and os.pread(descriptor, 1, size - 1) != b"\n":
        os.write(descriptor, b"\n")


def _lines(path: Path) -> Iterator[Session | Judgement]:
    """A line that is not whole JSON is what a crash left, and is passed over."""
    if not path.exists():
        return
    for number, text in enumerate(path.read_bytes().splitlines(), 1):
        try:
            document = json.loads(text)
        except ValueError:
            continue
        kind = document.get("kind") if isinstance(document, dict) else None
        if kind not in ("session", "judgement"):
            raise JournalError(f"{path}:{number}: not a line of a review")
        try:
            yield (Session if kind == "session" else Judgement).model_validate(document)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"]))
            raise JournalError(f"{path}:{number}: {where}: {first['msg']}") from None

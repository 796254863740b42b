"""What is kept of files, batches and their lines. Times are Unix seconds. A tenant of None is everybody.

A batch goes

    validating ── failed                                   the input file cannot be used
    validating ── in_progress ── finalizing ── completed
                  in_progress ── expired                   the completion window is over
                  in_progress ── cancelling ── cancelled

and every line of it goes `waiting ── running ── ok | failed`, back to waiting where it may be tried again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

Purpose = Literal["batch", "batch_output"]


class BatchStatus(StrEnum):
    VALIDATING = "validating"
    FAILED = "failed"
    IN_PROGRESS = "in_progress"
    FINALIZING = "finalizing"
    COMPLETED = "completed"
    EXPIRED = "expired"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"


OPEN = (
    BatchStatus.VALIDATING,
    BatchStatus.IN_PROGRESS,
    BatchStatus.FINALIZING,
    BatchStatus.CANCELLING,
)
"""Statuses that a batch leaves again."""


class LineReason(StrEnum):
    """Why a line failed that no answer was kept of; codes of OpenAI's error file where it has one."""

    EXPIRED = "batch_expired"
    CANCELLED = "batch_cancelled"
    WORKER_LOST = "worker_lost"


@dataclass(frozen=True, slots=True)
class FileRecord:
    id: str
    tenant: str | None
    filename: str
    purpose: Purpose
    size_bytes: int
    created_at: int
    expires_at: int | None


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with an input file. `line` counts from 1."""

    code: str
    message: str
    line: int | None = None
    param: str | None = None


@dataclass(frozen=True, slots=True)
class BatchRecord:
    """`base_url` is where the endpoint was reached when the batch was made: links in answers begin with it.

    `output_ttl_s` is how long the results are kept.
    """

    id: str
    tenant: str | None
    input_file_id: str
    endpoint: str
    base_url: str
    created_at: int
    expires_at: int
    output_ttl_s: int
    metadata: Mapping[str, str] | None = None
    status: BatchStatus = BatchStatus.VALIDATING
    in_progress_at: int | None = None
    finalizing_at: int | None = None
    completed_at: int | None = None
    failed_at: int | None = None
    expired_at: int | None = None
    cancelling_at: int | None = None
    cancelled_at: int | None = None
    output_file_id: str | None = None
    error_file_id: str | None = None
    problems: tuple[Problem, ...] = ()
    total: int = 0
    completed: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Line:
    """One request of an input file, checked. `body` is JSON."""

    custom_id: str
    body: str


@dataclass(frozen=True, slots=True)
class Claim:
    """A line that this process renders until its lease ends. `token` is what it is finished with."""

    batch_id: str
    index: int
    token: str
    tenant: str | None
    base_url: str
    line: Line
    claims: int
    output_ttl_s: int

    @property
    def request_id(self) -> str:
        return f"batch_req_{self.batch_id.removeprefix('batch_')}_{self.index}"


@dataclass(frozen=True, slots=True)
class FinishedLine:
    """`part` names where the answer is kept; without one `reason` says why there is none."""

    index: int
    custom_id: str
    ok: bool
    part: str | None
    reason: LineReason | None


@dataclass(frozen=True, slots=True)
class Results:
    """The files that a batch ends with, either of them None for no lines."""

    output: FileRecord | None = None
    errors: FileRecord | None = None

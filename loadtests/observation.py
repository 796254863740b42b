"""What a call came back with, and what was seen of it from outside.

Two views are kept apart: an Answer is what the service said, an Observation what a client waited.
"""

from dataclasses import dataclass
from enum import StrEnum

from loadtests.workload import Call

OK = "ok"


class Unanswered(StrEnum):
    """Why a call has no answer of the service's own. One that was answered has the service's code instead."""

    TIMEOUT = "client_timeout"
    CONNECTION = "connection_error"
    BAD_RESPONSE = "bad_response"
    UNFINISHED = "unfinished"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the service said. Fields of the receipt are None where it did not say.

    `code` is `ok`, the error's stable code, or one of Unanswered. `rung` counts how far below what the
    route promises the answer is. `images` are base64 texts, as they came.
    """

    code: str
    status: int | None = None
    message: str = ""
    images: tuple[str, ...] = ()
    request_id: str | None = None
    trace_id: str | None = None
    route: str | None = None
    model: str | None = None
    substituted: bool = False
    attempts: int = 1
    rung: int = 0
    budget_ms: float | None = None
    total_ms: float | None = None
    queue_ms: float | None = None
    gpu_s: float = 0.0
    cost_usd: float = 0.0
    pixels_sha256: tuple[str | None, ...] = ()

    @property
    def ok(self) -> bool:
        return self.code == OK


@dataclass(frozen=True, slots=True)
class Observation:
    """One arrival and what became of it.

    `latency_ms` runs from the moment the call was due, not from when it was sent: a generator or a server
    that stalls is charged for every arrival it held up (no coordinated omission). `late_ms` is how much of
    that passed before sending. A dropped call was never sent; an unfinished one was given up at the end
    of the run, its latency being how long it had waited until then.
    """

    call: Call
    answer: Answer
    late_ms: float
    latency_ms: float

    @property
    def sent(self) -> bool:
        return self.answer.code != Unanswered.DROPPED

    @property
    def budget_ms(self) -> float | None:
        """The service's word on the budget, else what the caller asked for."""
        budget_ms = self.answer.budget_ms
        return self.call.shot.max_latency_ms if budget_ms is None else budget_ms

    @property
    def good(self) -> bool:
        """Answered with an image, inside the budget where there is one."""
        return self.answer.ok and (self.budget_ms is None or self.latency_ms <= self.budget_ms)

"""Outcomes to HTTP: one table, and OpenAI's error body.

A caller never sees a traceback, a pid, a path or an address: messages are ours, and what is not ours
becomes `internal_error`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.responses import JSONResponse

from deployments.errors import InvalidRequest, RenderError
from routing.types import Outcome


@dataclass(frozen=True, slots=True)
class HttpError:
    status: int
    type: str
    message: str


# Out of memory is a 503 with the advice to try again, never a 502: the server knows what happened.
OUTCOMES: Mapping[Outcome, HttpError] = {
    Outcome.REFUSED_CAPACITY: HttpError(429, "rate_limit_error", "every model that could answer is busy"),
    Outcome.REFUSED_BUDGET: HttpError(503, "server_error", "no model can answer inside the latency budget"),
    Outcome.DEADLINE_EXCEEDED: HttpError(504, "server_error", "the latency budget was used up"),
    Outcome.OUT_OF_MEMORY: HttpError(503, "server_error", "no model had the memory for this image"),
    Outcome.MODEL_ERROR: HttpError(500, "server_error", "every model that could answer failed"),
    Outcome.MODEL_GONE: HttpError(410, "invalid_request_error", "the model was retired"),
    Outcome.CONTENT_REFUSED: HttpError(400, "invalid_request_error", "the content policy refused this"),
    Outcome.UNSUPPORTED: HttpError(400, "invalid_request_error", "no model can make this"),
    Outcome.CANCELLED: HttpError(499, "server_error", "the request was cancelled"),
}


@dataclass(slots=True)
class ApiError(Exception):
    """What a caller is told. `code` is stable; `param` names the offending field. `own_limit`:
    a limit of the caller's route or tenant was reached, nothing here was short. `route` is where the request
    had come, if it had."""

    status: int
    code: str
    message: str
    type: str = "invalid_request_error"
    param: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    own_limit: bool = False
    route: str | None = None

    def __str__(self) -> str:
        return f"{self.status} {self.code}: {self.message}"

    def body(self) -> dict[str, dict[str, str | None]]:
        told = {"message": self.message, "type": self.type, "code": self.code, "param": self.param}
        return {"error": told if self.route is None else {**told, "route": self.route}}


def bad_request(code: str, message: str, param: str | None = None) -> ApiError:
    return ApiError(400, code, message, param=param)


def from_outcome(outcome: Outcome, detail: str, retry_after_s: float | None = None) -> ApiError:
    """The error of a request whose chain ended with `outcome`. `detail` must be safe to show."""
    entry = OUTCOMES[outcome]
    headers = {}
    if entry.status in (429, 503):
        headers["retry-after"] = str(max(1, round(retry_after_s or 1)))
    return ApiError(entry.status, outcome.value, detail or entry.message, type=entry.type, headers=headers)


def outcome_of(error: RenderError) -> Outcome:
    """What an attempt that ended with `error` counts as in a fallback chain."""
    return Outcome.UNSUPPORTED if isinstance(error, InvalidRequest) else Outcome(error.code)


def internal_error() -> ApiError:
    """A new one each time: a raised exception keeps its traceback, and with it what the frames hold."""
    return ApiError(500, "internal_error", "something failed that should not have", type="server_error")


def respond(error: ApiError) -> JSONResponse:
    return JSONResponse(error.body(), error.status, error.headers)

"""What a render can end with, other than an image.

    RenderError                 code             what the caller may do
    ├── InvalidRequest          invalid_request  correct the request; another model would refuse it too
    ├── Unsupported             unsupported      this model cannot; another one may
    ├── DeadlineExceeded        deadline_exceeded  a cheaper candidate, if time is left
    ├── CapacityRefused         refused_capacity   another candidate, or later
    ├── OutOfMemory             out_of_memory      another candidate
    ├── ContentRefused          content_refused    nothing: a provider's policy said no
    └── ModelFailed             model_error        another candidate
        ├── ReplicaLost         model_error        the same model again: rendering has no side effects
        └── ModelGone           model_gone         another candidate; the model will not come back

Every class passes all its arguments positionally to `super().__init__`: an exception that does not
arrives as another type after it crossed a process. A message never holds a path, an address or a prompt.
Cancellation is `asyncio.CancelledError`, as everywhere in asyncio.
"""

from typing import ClassVar


class RenderError(Exception):
    """Base of all. `message` may be shown to the caller. `cost_usd` is what was spent although
    no image came of it; set on the instance, it crosses processes with it."""

    code: ClassVar[str] = "model_error"
    cost_usd: float = 0.0

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InvalidRequest(RenderError):
    """`param` names the offending field as the caller wrote it."""

    code = "invalid_request"

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.args = (message, param)
        self.param = param


class Unsupported(InvalidRequest):
    """A valid request that this model cannot serve (a size, an edit, a glyph it lacks)."""

    code = "unsupported"


class DeadlineExceeded(RenderError):
    """The deadline has passed, or is predicted to pass: then `predicted_ms` says how long it would take."""

    code = "deadline_exceeded"

    def __init__(self, message: str, predicted_ms: float | None = None) -> None:
        super().__init__(message)
        self.args = (message, predicted_ms)
        self.predicted_ms = predicted_ms


class CapacityRefused(RenderError):
    """Every queue that may hold the request is full. `retry_after_s` is a prediction, None if unknown."""

    code = "refused_capacity"

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.args = (message, retry_after_s)
        self.retry_after_s = retry_after_s


class OutOfMemory(RenderError):
    """The request does not fit this replica's memory even alone."""

    code = "out_of_memory"


class ContentRefused(RenderError):
    """A hosted provider's content policy refused the prompt or the picture."""

    code = "content_refused"


class ModelFailed(RenderError):
    """The model raised something that is not the caller's fault."""


class ReplicaLost(ModelFailed):
    """The process that held the request is gone."""


class ModelGone(ModelFailed):
    """A hosted model was retired by its provider."""

    code = "model_gone"

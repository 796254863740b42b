"""What the engine tells of its work, for metrics."""

from typing import Protocol

from deployments.engine.work import Batch


class StepObserver(Protocol):
    """Told of every denoiser call, on the step thread with the engine's lock. Must be cheap, must not raise.

    `cap` is how many requests may share the shape's next call.
    """

    def stepped(self, batch: Batch, seconds: float, predicted_s: float | None, cap: int) -> None:
        """`predicted_s` is None for a shape that was never seen before."""
        ...

    def did_not_fit(self, batch: Batch, cap: int) -> None:
        """The call ran out of memory."""
        ...


class NoStepObserver:
    def stepped(self, batch: Batch, seconds: float, predicted_s: float | None, cap: int) -> None:
        return None

    def did_not_fit(self, batch: Batch, cap: int) -> None:
        return None

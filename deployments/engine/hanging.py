"""When a call to the denoiser counts as hung: it takes far longer than predicted, and long in itself.

A thread that hangs on a device cannot be stopped. What can be done is to say so, and have the replica
replaced. Knows no clock and no thread.
"""

from dataclasses import dataclass

from deployments import errors

HUNG_AFTER_S = 60.0
HUNG_RATIO = 20.0
"""A call counts as hung that takes longer than both HUNG_AFTER_S and so many times what was predicted."""


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A call that has not come back. `predicted_s` is 0 where nothing is known."""

    what: str
    started_s: float
    predicted_s: float

    def check(self, now_s: float, hung_after_s: float) -> None:
        """Raises ModelFailed if the call has hung."""
        taken_s = now_s - self.started_s
        if taken_s <= max(hung_after_s, HUNG_RATIO * self.predicted_s):
            return
        predicted = f"was predicted to take {self.predicted_s:.3g} s" if self.predicted_s else "has not ended"
        raise errors.ModelFailed(f"{self.what} has taken {taken_s:.0f} s and {predicted}: the device hangs")

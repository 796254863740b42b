"""A circuit breaker per model: stop calling what keeps failing, probe it now and then.

    closed ──(enough recent calls, too many failed)──> open ──(cooldown over)──> half-open
       ^                                                ^                            │
       └───────────────(probe answered)─────────────────┼──────(probe failed)────────┘  cooldown doubles

Pure: a state changes only in `record`, by the outcomes and times it is given. A breaker that hears nothing
(its reporter died) does not stay open: it is half-open once its cooldown is over.
"""

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum

from routing.types import Outcome


class BreakerState(StrEnum):
    CLOSED = "closed"
    HALF_OPEN = "half_open"
    OPEN = "open"


# A refusal says that a model is busy, not that it is broken; the rest is the caller's doing or nobody's.
FAILURES = frozenset(
    {Outcome.MODEL_ERROR, Outcome.OUT_OF_MEMORY, Outcome.DEADLINE_EXCEEDED, Outcome.MODEL_GONE}
)
_ANSWERS = frozenset({Outcome.OK}) | FAILURES


@dataclass(frozen=True, slots=True)
class BreakerSettings:
    """Opens when at least `min_calls` of the last `window_s` seconds are known (at most `max_calls` are kept)
    and at least `failure_ratio` of them failed. Probes: at most one per `probe_interval_s`."""

    min_calls: int = 5
    max_calls: int = 50
    window_s: float = 30.0
    failure_ratio: float = 0.5
    cooldown_s: float = 5.0
    max_cooldown_s: float = 60.0
    probe_interval_s: float = 1.0


@dataclass(slots=True)
class Breaker:
    settings: BreakerSettings = field(default_factory=BreakerSettings)
    _calls: deque[tuple[float, bool]] = field(default_factory=deque)
    _open_until_s: float | None = None
    _cooldown_s: float = 0.0
    _probed_at_s: float | None = None
    _heard: bool = False

    def state(self, now_s: float) -> BreakerState:
        if self._open_until_s is None:
            return BreakerState.CLOSED
        return BreakerState.OPEN if now_s < self._open_until_s else BreakerState.HALF_OPEN

    def allows(self, now_s: float) -> bool:
        """Whether a call may be made. Half-open: one, then none until it answered or its interval is over."""
        match self.state(now_s):
            case BreakerState.CLOSED:
                return True
            case BreakerState.OPEN:
                return False
            case BreakerState.HALF_OPEN:
                return (
                    self._probed_at_s is None or now_s - self._probed_at_s >= self.settings.probe_interval_s
                )

    def started(self, now_s: float) -> None:
        """A call was sent. Half-open, it is the probe and others are held back."""
        if self.state(now_s) is BreakerState.HALF_OPEN:
            self._probed_at_s = now_s

    def retry_after_s(self, now_s: float) -> float | None:
        """Seconds until `allows` is true again; None when it is."""
        if self.allows(now_s):
            return None
        if self._open_until_s is not None and now_s < self._open_until_s:
            return self._open_until_s - now_s
        return max(0.0, (self._probed_at_s or now_s) + self.settings.probe_interval_s - now_s)

    def hear(self, open_for_s: float, now_s: float) -> None:
        """Another router found the model broken and leaves it alone for this long: so does this one."""
        until_s = now_s + open_for_s
        if self._open_until_s is None or self._open_until_s < until_s:
            self._heard = True
            self._cooldown_s = max(self._cooldown_s, self.settings.cooldown_s)
            self._open_until_s = until_s
            self._calls.clear()

    def found_open_s(self, now_s: float) -> float | None:
        """For how long it is still open by what was seen here, None else: what others said is not passed
        on, or two routers would keep each other's breakers open."""
        if self._heard or self.state(now_s) is not BreakerState.OPEN:
            return None
        assert self._open_until_s is not None
        return self._open_until_s - now_s

    def record(self, outcome: Outcome, now_s: float) -> None:
        """Outcomes that say nothing of the model's health only free the place of a probe."""
        state = self.state(now_s)
        self._probed_at_s = None
        if outcome not in _ANSWERS or state is BreakerState.OPEN:
            return
        failed = outcome in FAILURES
        if state is BreakerState.HALF_OPEN:
            self._after_probe(failed, now_s)
            return
        self._calls.append((now_s, failed))
        self._forget(now_s)
        failures = sum(each for _, each in self._calls)
        enough = len(self._calls) >= self.settings.min_calls
        if outcome is Outcome.MODEL_GONE or (
            enough and failures >= self.settings.failure_ratio * len(self._calls)
        ):
            self._open(self.settings.cooldown_s, now_s)

    def _after_probe(self, failed: bool, now_s: float) -> None:
        if failed:
            self._open(min(2 * self._cooldown_s, self.settings.max_cooldown_s), now_s)
        else:
            self._open_until_s = None
            self._calls.clear()

    def _open(self, cooldown_s: float, now_s: float) -> None:
        self._heard = False
        self._cooldown_s = cooldown_s
        self._open_until_s = now_s + cooldown_s
        self._calls.clear()

    def _forget(self, now_s: float) -> None:
        while (
            len(self._calls) > self.settings.max_calls or self._calls[0][0] < now_s - self.settings.window_s
        ):
            self._calls.popleft()

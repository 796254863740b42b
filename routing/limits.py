"""Counts what runs, starts and is spent under each key, and says when a limit is reached.

One ledger per router. What the other routers count comes in as `elsewhere`, a moment old: together they may
overshoot a limit by what they admit in that moment. Pure: time comes in.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from routing.types import Limit

MINUTE_S = 60.0
HOUR_S = 3600.0
_SPENDING_SLOTS = 60


@dataclass(frozen=True, slots=True)
class LimitReached:
    """`retry_after_s` is when this router's oldest use leaves the window; None where it has none, and for
    concurrency, which no clock ends."""

    key: str
    limit: str
    retry_after_s: float | None

    def __str__(self) -> str:
        return f"{self.key} has reached its {self.limit}"


@dataclass(frozen=True, slots=True)
class Usage:
    """What one router, or several together, count under a key: running now, started in the last minute,
    spent in the last hour."""

    running: int = 0
    started: int = 0
    spent_usd: float = 0.0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.running + other.running, self.started + other.started, self.spent_usd + other.spent_usd
        )


NOTHING = Usage()


@dataclass(slots=True)
class _Use:
    running: int = 0
    started_s: deque[float] = field(default_factory=deque)
    spent: deque[tuple[float, float]] = field(default_factory=deque)
    spent_usd: float = 0.0

    def forget(self, now_s: float) -> None:
        while self.started_s and self.started_s[0] <= now_s - MINUTE_S:
            self.started_s.popleft()
        while self.spent and self.spent[0][0] <= now_s - HOUR_S:
            self.spent_usd -= self.spent.popleft()[1]
        if not self.spent:
            self.spent_usd = 0.0

    def spend(self, usd: float, now_s: float) -> None:
        """Sums per minute instead of per request: an hour of requests stays 60 numbers."""
        slot_s = now_s - now_s % (HOUR_S / _SPENDING_SLOTS)
        if self.spent and self.spent[-1][0] >= slot_s:
            at_s, before = self.spent.pop()
            self.spent.append((at_s, before + usd))
        else:
            self.spent.append((slot_s, usd))
        self.spent_usd += usd

    def usage(self) -> Usage:
        return Usage(self.running, len(self.started_s), self.spent_usd)

    @property
    def idle(self) -> bool:
        return not (self.running or self.started_s or self.spent)


@dataclass(slots=True)
class LimitLedger:
    """`admit` before a request runs, `finished` when it has ended, once each; `spend` as costs become known.
    `elsewhere` is what the other routers count, by key."""

    elsewhere: Mapping[str, Usage] = field(default_factory=dict)
    _uses: dict[str, _Use] = field(default_factory=dict)

    def admit(self, limits: tuple[Limit, ...], now_s: float) -> LimitReached | None:
        """Counts the request against all limits, or against none and says which is reached."""
        for limit in limits:
            elsewhere = self.elsewhere.get(limit.key, NOTHING)
            reached = _reached(limit, self._use(limit.key, now_s), elsewhere, now_s)
            if reached is not None:
                self._drop_idle(limit.key)
                return reached
        for limit in limits:
            use = self._use(limit.key, now_s)
            use.running += 1
            if limit.requests_per_minute is not None:
                use.started_s.append(now_s)
        return None

    def finished(self, limits: tuple[Limit, ...], now_s: float) -> None:
        """Whatever came of it."""
        for limit in limits:
            use = self._use(limit.key, now_s)
            use.running = max(0, use.running - 1)
            self._drop_idle(limit.key)

    def spend(self, limits: tuple[Limit, ...], usd: float, now_s: float) -> None:
        """When a cost is known, which may be after the request has ended. Spending stops at the request after
        the limit was reached."""
        for limit in limits:
            if limit.usd_per_hour is not None:
                self._use(limit.key, now_s).spend(usd, now_s)

    def running(self, key: str) -> int:
        use = self._uses.get(key)
        return 0 if use is None else use.running

    def usages(self, now_s: float) -> dict[str, Usage]:
        """What is counted here, for the other routers."""
        return {key: self._use(key, now_s).usage() for key in self._uses}

    def _use(self, key: str, now_s: float) -> _Use:
        use = self._uses.setdefault(key, _Use())
        use.forget(now_s)
        return use

    def _drop_idle(self, key: str) -> None:
        """Tenants that come once must not stay in memory for ever."""
        if self._uses[key].idle:
            del self._uses[key]


def _reached(limit: Limit, use: _Use, elsewhere: Usage, now_s: float) -> LimitReached | None:
    total = use.usage() + elsewhere
    if limit.concurrency is not None and total.running >= limit.concurrency:
        return LimitReached(limit.key, f"limit of {limit.concurrency} requests at once", None)
    if limit.requests_per_minute is not None and total.started >= limit.requests_per_minute:
        retry_after_s = use.started_s[0] + MINUTE_S - now_s if use.started_s else None
        return LimitReached(limit.key, f"limit of {limit.requests_per_minute} a minute", retry_after_s)
    if limit.usd_per_hour is not None and total.spent_usd >= limit.usd_per_hour:
        retry_after_s = use.spent[0][0] + HOUR_S - now_s if use.spent else None
        return LimitReached(limit.key, f"limit of {limit.usd_per_hour:g} USD an hour", retry_after_s)
    return None

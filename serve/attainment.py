"""How many requests met their latency budget in the last minutes, for people who ask this router.

An observer that passes everything on. Long times and all routers together are Prometheus' matter.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from serve.metrics import NOT_OURS, Observer
from serve.schemas import Receipt

WINDOW_S = 600.0
SLOT_S = 10.0


@dataclass(slots=True)
class _Slot:
    """What ended within SLOT_S after `since_s`, by route: how many, and how many in time."""

    since_s: float
    requests: dict[str, int] = field(default_factory=dict)
    met: dict[str, int] = field(default_factory=dict)


class Attainment:
    """`clock` is monotonic."""

    def __init__(self, inner: Observer, clock: Callable[[], float] = time.monotonic) -> None:
        self._inner = inner
        self._clock = clock
        self._slots: deque[_Slot] = deque()

    def describe(self) -> dict[str, dict[str, object]]:
        """Of every route with a budget: requests of the last WINDOW_S, and the share that met it."""
        self._forget()
        requests: dict[str, int] = {}
        met: dict[str, int] = {}
        for slot in self._slots:
            for route, count in slot.requests.items():
                requests[route] = requests.get(route, 0) + count
                met[route] = met.get(route, 0) + slot.met.get(route, 0)
        return {
            route: {"requests": count, "met_ratio": round(met[route] / count, 4)}
            for route, count in sorted(requests.items())
        }

    def finished(self, receipt: Receipt) -> None:
        if receipt.budget_ms is not None:
            self._count(receipt.route, receipt.total_ms <= receipt.budget_ms)
        self._inner.finished(receipt)

    def refused(self, route: str, outcome: str, total_ms: float, budget_ms: float | None = None) -> None:
        if budget_ms is not None and outcome not in NOT_OURS:
            self._count(route, met=False)
        self._inner.refused(route, outcome, total_ms, budget_ms)

    def spent(self, route: str, model: str, usd: float) -> None:
        self._inner.spent(route, model, usd)

    def shadowed(self, route: str, model: str, outcome: str, total_ms: float) -> None:
        self._inner.shadowed(route, model, outcome, total_ms)

    def policy_offered(self, accepted: bool) -> None:
        self._inner.policy_offered(accepted)

    def batch_lines_left(self, count: int) -> None:
        self._inner.batch_lines_left(count)

    def breaker(self, model: str, is_open: bool) -> None:
        self._inner.breaker(model, is_open)

    def flush(self) -> None:
        self._inner.flush()

    def _count(self, route: str, met: bool) -> None:
        now_s = self._clock()
        if not self._slots or now_s - self._slots[-1].since_s >= SLOT_S:
            self._slots.append(_Slot(now_s))
            self._forget()
        slot = self._slots[-1]
        slot.requests[route] = slot.requests.get(route, 0) + 1
        slot.met[route] = slot.met.get(route, 0) + met

    def _forget(self) -> None:
        while self._slots and self._clock() - self._slots[0].since_s > WINDOW_S:
            self._slots.popleft()

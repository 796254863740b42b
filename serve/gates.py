"""One gate per model: requests wait here, shared fairly between tenants, and not in Ray's queues.

Sizes the gates by what is running. Does not decide who goes first: `routing.fairqueue` does.
"""

import math
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from deployments import errors
from deployments.spec import Autoscaling, BaseSpec, WorkScaling, let_through
from routing.admission import Gate, NotAdmitted
from routing.fairqueue import FairQueue
from routing.types import AssetRequest, PlannedStage

UNBOUNDED = 1_000_000
"""What `max_queued_requests: -1` stands for."""


@dataclass(frozen=True, slots=True)
class GateSize:
    """What a model's spec says of how many requests it works on and how many may wait at each router."""

    places_per_replica: int
    max_queued: int
    scaling: Autoscaling
    by_work: WorkScaling | None = None

    @classmethod
    def of(cls, spec: BaseSpec) -> "GateSize":
        return cls(
            places_per_replica=spec.max_ongoing_requests,
            max_queued=UNBOUNDED if spec.max_queued_requests < 0 else spec.max_queued_requests,
            scaling=spec.autoscaling,
            by_work=spec.work_scaling,
        )

    def capacity(self, replicas: int, routers: int) -> int:
        """How many requests one of `routers` lets through to `replicas`, 1 or more."""
        places = let_through(replicas, self.places_per_replica, self.scaling, self.by_work)
        return max(1, math.ceil(places / max(1, routers)))


class Gates:
    """The gates of one router, one for each model that has a size; others are open to everybody."""

    def __init__(self, sizes: Mapping[str, GateSize]) -> None:
        self._sizes = dict(sizes)
        self._gates = {
            name: Gate(size.capacity(max(1, size.scaling.min_replicas), 1), FairQueue(size.max_queued))
            for name, size in sizes.items()
        }

    def resize(self, model: str, replicas: int, routers: int) -> None:
        if model in self._gates:
            self._gates[model].set_capacity(self._sizes[model].capacity(replicas, routers))

    def costs_ahead_ms(self, model: str, asset: AssetRequest) -> Sequence[float]:
        """Predicted work of each request at the gate of `model` that goes before this one."""
        gate = self._gates.get(model)
        return () if gate is None else gate.costs_ahead_ms(asset.tenant, asset.priority)

    def waiting(self, model: str) -> int:
        """How many requests wait at the gate of `model`."""
        gate = self._gates.get(model)
        return 0 if gate is None else gate.queued

    @asynccontextmanager
    async def admitted(
        self, asset: AssetRequest, stage: PlannedStage, weight: float, leave_after_ms: float | None
    ) -> AsyncIterator[None]:
        """Holds a place at the stage's model. Raises CapacityRefused when the queue is full, when a fairer
        share took the place in it, or when `leave_after_ms` have passed."""
        gate = self._gates.get(stage.model)
        if gate is None:
            yield
            return
        timeout_s = None if leave_after_ms is None else max(0.0, leave_after_ms) / 1000
        run_ms = stage.predicted_ms - stage.wait_ms
        try:
            async with gate.admitted(
                asset.tenant, run_ms, weight=weight, priority=asset.priority, timeout_s=timeout_s
            ):
                yield
        except NotAdmitted as refused:
            message = f"model {stage.model} is busy: {refused.message}"
            raise errors.CapacityRefused(message, refused.retry_after_s) from None

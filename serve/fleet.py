"""What is known of the models right now: learned times, reports of replicas, breakers, who is up.

Gathers what happens; hands out snapshots. Decides nothing.
"""

import asyncio
import time
from collections.abc import Collection, Mapping

from deployments.client import ModelClient
from deployments.types import ModelLoad, StageReceipt
from routing.breaker import Breaker
from routing.latency import LatencyModel
from routing.types import ModelFacts, Outcome, PlannedStage, Snapshot


class Fleet:
    """`now_s` is monotonic everywhere. `scale_to_zero` names models that may have no replica and still be
    asked: a request starts one."""

    def __init__(self, facts: Mapping[str, ModelFacts], scale_to_zero: Collection[str] = ()) -> None:
        self._latency = LatencyModel(facts)
        self._breakers = {name: Breaker() for name in facts}
        self._loads: dict[str, list[ModelLoad]] = {name: [] for name in facts}
        self._scale_to_zero = frozenset(scale_to_zero)

    def snapshot(self, now_s: float) -> Snapshot:
        return self._latency.snapshot(now_s, self._breakers)

    def sent(self, stage: PlannedStage, now_s: float) -> None:
        self._breakers[stage.model].started(now_s)
        self._latency.sent(stage.model, stage.predicted_ms - stage.wait_ms, now_s)

    def succeeded(self, stage: PlannedStage, receipt: StageReceipt, now_s: float) -> None:
        self._breakers[stage.model].record(Outcome.OK, now_s)
        self._latency.observe(
            stage.model, receipt.steps, receipt.width, receipt.height, receipt.run_ms, receipt.queue_ms, now_s
        )

    def failed(self, model: str, outcome: Outcome, now_s: float) -> None:
        self._breakers[model].record(outcome, now_s)
        self._latency.failed(model)

    def replicas(self, model: str) -> int:
        """How many answered the last poll."""
        return len(self._loads[model])

    def is_up(self, model: str) -> bool:
        """Whether a replica answered the last poll, or none is needed until somebody asks."""
        return bool(self._loads[model]) or model in self._scale_to_zero

    def describe(self) -> dict[str, dict[str, object]]:
        """JSON values for people and dashboards. `running` and `queued` are as of the last poll."""
        now_s = time.monotonic()
        states = self.snapshot(now_s).models
        return {
            name: {
                "replicas": len(loads),
                "running": sum(load.running for load in loads),
                "queued": sum(load.queued for load in loads),
                "breaker": self._breakers[name].state(now_s).value,
                "wait_ms": round(states[name].wait_ms, 1),
                "overhead_ms": round(states[name].overhead_ms, 3),
                "step_ms": round(states[name].step_ms, 3),
                "step_ms_per_megapixel": round(states[name].step_ms_per_megapixel, 3),
                "observed": states[name].observed,
                "memory_bytes": sum(load.memory_bytes for load in loads),
            }
            for name, loads in self._loads.items()
        }

    async def poll(self, clients: Mapping[str, ModelClient]) -> None:
        """Asks every replica of every model for its load, once."""
        names = list(clients)
        answers = await asyncio.gather(*(clients[name].load_reports() for name in names))
        for name, loads in zip(names, answers, strict=True):
            self._take(name, loads, time.monotonic())

    def _take(self, model: str, loads: list[ModelLoad], now_s: float) -> None:
        self._loads[model] = loads
        self._latency.set_available(model, self.is_up(model))
        self._latency.set_parallelism(model, sum(load.parallelism for load in loads), now_s)
        for index, load in enumerate(loads):
            self._latency.report(model, load, now_s, replica=str(index))

"""What is known of the models right now: learned times, reports of replicas, breakers, who waits, who is up.

Gathers what happens; hands out snapshots. Decides nothing.
"""

import asyncio
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial

from deployments.client import ModelClient
from deployments.types import ModelLoad, StageReceipt
from routing.breaker import Breaker, BreakerState
from routing.latency import LatencyModel
from routing.types import AssetRequest, ModelFacts, Outcome, PlannedStage, Snapshot
from serve.gates import Gates

STUCK_RATIO = 2.0
"""A call that took so many times what was predicted and still had no answer speaks against its model. One
that ran out of time before that says only that there was little time."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A call that is under way. `waited_ms` is what it spent at the gate before."""

    stage: PlannedStage
    waited_ms: float
    sent_s: float
    predicted_end_s: float

    def is_stuck(self, now_s: float) -> bool:
        return now_s - self.sent_s >= STUCK_RATIO * (self.predicted_end_s - self.sent_s)


class Fleet:
    """`now_s` is monotonic everywhere. `scale_to_zero` names models that may have no replica and still be
    asked: a request starts one. `routers` is how many routers share the models, this one included."""

    def __init__(
        self,
        facts: Mapping[str, ModelFacts],
        scale_to_zero: Collection[str] = (),
        gates: Gates | None = None,
    ) -> None:
        self.gates = gates or Gates({})
        self.routers = 1
        self._facts = facts
        self._latency = LatencyModel(facts)
        self._breakers = {name: Breaker() for name in facts}
        self._loads: dict[str, list[ModelLoad]] = {name: [] for name in facts}
        self._revisions: dict[str, str] = {}
        self._scale_to_zero = frozenset(scale_to_zero)

    def snapshot(self, now_s: float, asset: AssetRequest | None = None) -> Snapshot:
        """As `asset` would find it: what goes before it at the gates depends on its tenant and priority."""
        ahead = None if asset is None else partial(self.gates.costs_ahead_ms, asset=asset)
        return self._latency.snapshot(now_s, self._breakers, ahead)

    def sent(self, stage: PlannedStage, now_s: float, waited_ms: float = 0.0) -> Sent:
        """The call ends with `succeeded` or `failed`."""
        self._breakers[stage.model].started(now_s)
        run_ms = stage.predicted_ms - stage.wait_ms
        return Sent(stage, waited_ms, now_s, self._latency.sent(stage.model, run_ms, now_s))

    def usd_of_a_call_left(self, model: str) -> float:
        """What a call costs that was sent and is waited for no more. A provider may go on with it."""
        facts = self._facts[model]
        return facts.usd_per_image if facts.billed_when_sent else 0.0

    def succeeded(self, sent: Sent, receipt: StageReceipt, now_s: float) -> None:
        model = sent.stage.model
        self._breakers[model].record(Outcome.OK, now_s)
        self._revisions[model] = receipt.revision
        self._latency.observe(
            model, receipt.steps, receipt.width, receipt.height, receipt.run_ms, receipt.queue_ms, now_s
        )
        transport_ms = (now_s - sent.sent_s) * 1000 - receipt.queue_ms - receipt.run_ms
        self._latency.observe_transport(model, transport_ms)
        self._observe_total(sent, now_s)

    def failed(self, sent: Sent, outcome: Outcome, now_s: float) -> None:
        model = sent.stage.model
        if outcome is Outcome.DEADLINE_EXCEEDED:
            self._observe_total(sent, now_s)  # it would have taken longer still
            outcome = outcome if sent.is_stuck(now_s) else Outcome.CANCELLED
        self._breakers[model].record(outcome, now_s)
        self._latency.failed(model, sent.predicted_end_s, now_s)

    def _observe_total(self, sent: Sent, now_s: float) -> None:
        taken_ms = sent.waited_ms + (now_s - sent.sent_s) * 1000
        run_ms = sent.stage.predicted_ms - sent.stage.wait_ms
        self._latency.observe_total(sent.stage.model, sent.stage.wait_ms, run_ms, taken_ms, now_s)

    def answered(self, answering_ms: float) -> None:
        """A request was answered that spent so much of its time outside of its stages."""
        self._latency.observe_answering(answering_ms)

    def revision(self, model: str) -> str | None:
        """Of the weights that answered last, None before any did."""
        return self._revisions.get(model)

    def broken(self, now_s: float) -> dict[str, float]:
        """Models whose breaker opened by what was seen here: seconds until each is worth asking."""
        found = {name: breaker.found_open_s(now_s) for name, breaker in self._breakers.items()}
        return {name: open_s for name, open_s in found.items() if open_s is not None}

    def distrusted(self, now_s: float) -> dict[str, bool]:
        """Of every model: whether its breaker opened and it has not answered since."""
        return {
            name: breaker.state(now_s) is not BreakerState.CLOSED for name, breaker in self._breakers.items()
        }

    def hear_broken(self, broken_s: Mapping[str, float], now_s: float) -> None:
        """What another router found, as it says by `broken`. Models unknown here are passed over."""
        for name, open_s in broken_s.items():
            if name in self._breakers:
                self._breakers[name].hear(open_s, now_s)

    def replicas(self, model: str) -> int:
        """How many answered the last poll."""
        return len(self._loads[model])

    def is_up(self, model: str) -> bool:
        """Whether a replica answered the last poll, or none is needed until somebody asks."""
        return bool(self._loads[model]) or model in self._scale_to_zero

    def describe(self) -> dict[str, dict[str, object]]:
        """JSON values for people and dashboards. `running` and `queued` are of the replicas as of the last
        poll, `waiting` is at this router's gate now; a model that is not `up` is passed over."""
        now_s = time.monotonic()
        states = self.snapshot(now_s).models
        return {
            name: {
                "replicas": len(loads),
                "up": self.is_up(name),
                "running": sum(load.running for load in loads),
                "queued": sum(load.queued for load in loads),
                "waiting": self.gates.waiting(name),
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
        self.gates.resize(model, len(loads), self.routers)
        for index, load in enumerate(loads):
            self._latency.report(model, load, now_s, replica=str(index))

"""One request, from decision to receipt.

Knows the policy engine and model clients. Knows nothing of HTTP or Ray.
"""

import asyncio
import functools
import time
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any

from deployments.client import ModelClient
from deployments.model import PartialSink
from deployments.telemetry import open_span
from routing.budget import Deadline
from routing.limits import LimitLedger
from routing.store import ActivePolicy, PolicyStore
from routing.types import AssetRequest, Decision, NoRoute, Outcome, Snapshot, UnknownModel
from serve import telemetry
from serve.chain import Chain
from serve.errors import ApiError, bad_request, from_outcome
from serve.fleet import Fleet
from serve.jobs import Answer, ImageJob
from serve.ledger import Delivered
from serve.metrics import NoObserver, Observer
from serve.provenance import Provenance
from serve.rasters import RasterShelf
from serve.receipts import ImageOutcome, receipt
from serve.reuse import Reuse
from serve.shadows import Shadows


class Dispatcher:
    """Answers jobs with the policy in force and the models that are up.

    `default_budget_ms` is the budget where neither the route nor the caller sets one.
    """

    def __init__(
        self,
        policies: PolicyStore,
        clients: Mapping[str, ModelClient],
        fleet: Fleet,
        rasters: RasterShelf,
        default_budget_ms: float | None = None,
        observer: Observer | None = None,
        delivered: Delivered | None = None,
        limits: LimitLedger | None = None,
        reuse: Reuse | None = None,
        provenance: Provenance | None = None,
    ) -> None:
        self._policies = policies
        self._clients = clients
        self._fleet = fleet
        self._rasters = rasters
        self._default_budget_ms = default_budget_ms
        self._observer = observer or NoObserver()
        self._delivered = delivered or Delivered()
        self._limits = limits or LimitLedger()
        self._reuse = reuse
        self._provenance = provenance
        self.shadows = Shadows(clients, fleet, self._observer)

    async def dispatch(self, job: ImageJob, on_partial: PartialSink | None = None) -> Answer:
        """Raises ApiError when an image cannot be answered for one of the seeds.

        `on_partial` takes previews; after the first one no other candidate is tried.
        """
        decision = self._decide(job)
        try:
            if not decision.chain and decision.raster is None:
                raise _refused(decision)
            outcomes = await self._limited(job, decision, on_partial)
        except ApiError as error:
            error.route = decision.route
            missed_ms = None if error.own_limit else decision.budget_ms
            self._observer.refused(decision.route, error.code, _elapsed_ms(job), missed_ms)
            raise
        except asyncio.CancelledError:
            self._observer.refused(decision.route, Outcome.CANCELLED.value, _elapsed_ms(job))
            raise
        answer = Answer(
            images=tuple(outcome.image for outcome in outcomes),
            receipt=receipt(job.request_id, decision, outcomes, _elapsed_ms(job)),
        )
        if not any(outcome.failures or outcome.was_reused for outcome in outcomes):
            self._fleet.answered(answer.receipt.total_ms - answer.receipt.queue_ms - answer.receipt.run_ms)
        self._delivered.add(job.request_id, decision)
        self.shadows.start(job, decision)
        self._observer.finished(answer.receipt)
        return answer if self._provenance is None else await self._provenance.marked(answer, job)

    def _decide(self, job: ImageJob) -> Decision:
        policy = self._policies.current
        with open_span(telemetry.tracer, telemetry.SPAN_DECIDE) as span:
            decision = decide(policy, job.asset, self._fleet.snapshot(time.monotonic(), job.asset))
            span.set_attribute(telemetry.ATTR_POLICY_VERSION, decision.policy_version)
            span.set_attribute(telemetry.ATTR_ROUTE, decision.route)
            span.set_attribute(telemetry.ATTR_REASON, decision.reason)
            if decision.budget_ms is not None:
                span.set_attribute(telemetry.ATTR_BUDGET_MS, decision.budget_ms)
            if decision.chain:
                span.set_attribute(telemetry.ATTR_PREDICTED_MS, decision.chain[0].predicted_ms)
        return decision

    async def _limited(
        self, job: ImageJob, decision: Decision, on_partial: PartialSink | None
    ) -> list[ImageOutcome]:
        """Runs the job while it counts against the limits of its route and tenant."""
        reached = self._limits.admit(decision.limits, time.monotonic())
        if reached is not None:
            error = from_outcome(Outcome.REFUSED_CAPACITY, str(reached), reached.retry_after_s)
            error.own_limit = True
            raise error
        try:
            return await self._images(job, decision, on_partial)
        finally:
            self._limits.finished(decision.limits, time.monotonic())

    async def _images(
        self, job: ImageJob, decision: Decision, on_partial: PartialSink | None
    ) -> list[ImageOutcome]:
        budget_ms = self._default_budget_ms if decision.budget_ms is None else decision.budget_ms
        deadline = Deadline.after(budget_ms, job.arrived_s)
        spend = functools.partial(self._spend, decision)
        chains = [
            Chain(job, decision, deadline, seed, self._clients, self._fleet, self._rasters, spend, on_partial)
            for seed in job.seeds
        ]
        return await _together([self._traced(chain) for chain in chains])

    def _spend(self, decision: Decision, model: str, usd: float) -> None:
        """Counted when a call ends, not when the request does: its caller may have left by then."""
        self._limits.spend(decision.limits, usd, time.monotonic())
        self._observer.spent(decision.route, model, usd)

    async def _traced(self, chain: Chain) -> ImageOutcome:
        with open_span(
            telemetry.tracer, telemetry.SPAN_RENDER, attributes={telemetry.ATTR_SEED: chain.seed}
        ) as span:
            outcome = await self._reused_or_new(chain)
            span.set_attribute(telemetry.ATTR_SUBSTITUTED, bool(outcome.failures))
            span.set_attribute(telemetry.ATTR_MODEL, outcome.model)
            span.set_attribute(telemetry.ATTR_CACHE, outcome.cache.value)
            return outcome

    async def _reused_or_new(self, chain: Chain) -> ImageOutcome:
        if self._reuse is None:
            return await chain.run()
        return await self._reuse.image(chain.job, chain.decision, chain.seed, chain.deadline, chain.run)


async def _together(work: Sequence[Coroutine[Any, Any, ImageOutcome]]) -> list[ImageOutcome]:
    """The first failure cancels the others and is raised as itself."""
    if len(work) == 1:
        return [await work[0]]
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(each) for each in work]
    except* ApiError as failed:
        raise next(error for error in failed.exceptions if isinstance(error, ApiError)) from None
    return [task.result() for task in tasks]


def decide(policy: ActivePolicy, request: AssetRequest, snapshot: Snapshot) -> Decision:
    """The engine's decision; what the caller got wrong becomes an ApiError."""
    try:
        return policy.engine.decide(request, snapshot, time.monotonic())
    except UnknownModel as error:
        message = f"model {request.model[:64]!r} does not exist; known: {', '.join(error.known)}"
        raise ApiError(404, "model_not_found", message, param="model") from None
    except NoRoute:
        raise bad_request("no_route", "no route of the policy matches this request", "prompt") from None


def _refused(decision: Decision) -> ApiError:
    outcome = decision.refusal or Outcome.REFUSED_CAPACITY
    return from_outcome(outcome, decision.reason, decision.retry_after_s)


def _elapsed_ms(job: ImageJob) -> float:
    return (time.monotonic() - job.arrived_s) * 1000

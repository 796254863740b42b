"""Shadow renders: a share of a route's requests also goes to another model, whose image is dropped.

Runs beside the answer and never before it: as batch work, a few at a time, within the route's budget. Only
what it took and how it ended is kept.
"""

import asyncio
import functools
import time
from collections.abc import Mapping
from dataclasses import replace

from deployments import errors
from deployments.client import ModelClient
from deployments.telemetry import open_span
from routing.budget import Deadline
from routing.fairqueue import BATCH
from routing.types import Decision, Outcome, Plan
from serve import telemetry
from serve.attempt import Attempt, attempt
from serve.errors import outcome_of
from serve.fleet import Fleet
from serve.jobs import ImageJob
from serve.metrics import Observer

AT_ONCE = 8
"""Shadows of one router under way; a request beyond them goes without."""

BUDGET_MS = 60_000.0
"""Of a shadow of a route without a budget."""


class Shadows:
    """Those of one router."""

    def __init__(self, clients: Mapping[str, ModelClient], fleet: Fleet, observer: Observer) -> None:
        self._clients = clients
        self._fleet = fleet
        self._observer = observer
        self._running: set[asyncio.Task[None]] = set()

    def start(self, job: ImageJob, decision: Decision) -> None:
        """Renders the job's first image by the decision's shadow plan, if it has one."""
        if decision.shadow is None or len(self._running) >= AT_ONCE:
            return
        task = asyncio.create_task(self._run(job, decision, decision.shadow))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def close(self) -> None:
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _run(self, job: ImageJob, decision: Decision, plan: Plan) -> None:
        began_s = time.monotonic()
        work = Attempt(
            job=replace(job, asset=replace(job.asset, priority=BATCH), partial_images=0),
            seed=job.seeds[0],
            plan=plan,
            deadline=Deadline.after(decision.budget_ms or BUDGET_MS, began_s),
            deterministic=decision.deterministic,
            weight=decision.weight,
            spend=functools.partial(self._observer.spent, decision.route),
        )
        outcome = Outcome.OK
        with open_span(telemetry.tracer, telemetry.SPAN_SHADOW) as span:
            try:
                await attempt(work, self._clients, self._fleet)
            except errors.RenderError as error:
                outcome = outcome_of(error)
            span.set_attribute(telemetry.ATTR_OUTCOME, outcome.value)
        model = "+".join(plan.models)
        self._observer.shadowed(decision.route, model, outcome.value, (time.monotonic() - began_s) * 1000)

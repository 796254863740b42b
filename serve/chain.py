"""One image down its fallback chain: try a plan, look at the outcome, try the next, inside one deadline."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from opentelemetry import trace

from deployments import errors
from deployments.client import ModelClient
from deployments.model import PartialSink
from deployments.types import EncodedImage, Encoding, ImageFormat, PartialImage, StageReceipt
from deployments.typesetter.prompt import says_words
from routing.budget import Deadline
from routing.fallback import next_plan, still_works
from routing.types import Decision, Outcome, Plan
from serve import telemetry
from serve.attempt import Attempt, Spend, attempt, spend_nothing
from serve.errors import bad_request, from_outcome, outcome_of
from serve.fleet import Fleet
from serve.jobs import ImageJob
from serve.rasters import RasterShelf
from serve.receipts import Failure, ImageOutcome

RASTER_RESERVE_MS = 20.0
"""Time kept for answering with a baked asset: reading and encoding one takes a few milliseconds."""

HANDOVER_RESERVE_MS = 20.0
"""Time kept for giving up one candidate and starting the next: timers fire late, and a candidate that is
predicted to take all that is left would not fit any more."""


@dataclass(slots=True)
class Chain:
    """The state of one image's way through `decision.chain`. Once a preview was `shown`, what it promised
    is delivered or the request fails: nothing else takes its place."""

    job: ImageJob
    decision: Decision
    deadline: Deadline
    seed: int
    clients: Mapping[str, ModelClient]
    fleet: Fleet
    rasters: RasterShelf
    spend: Spend = spend_nothing
    on_partial: PartialSink | None = None
    shown: bool = False
    failures: list[Failure] = field(default_factory=list)

    async def run(self) -> ImageOutcome:
        """Raises ApiError with the last outcome when nothing is left to try."""
        plan = self.decision.chain[0] if self.decision.chain else None
        while plan is not None:
            started_s = time.monotonic()
            try:
                image, stages = await self._attempt(plan, started_s)
            except errors.RenderError as error:
                self.failures.append(_failure(plan, error, started_s))
                plan = self._after(plan, error)
            else:
                return ImageOutcome(
                    image=image,
                    seed=self.seed,
                    plan=plan,
                    stages=stages,
                    failures=tuple(self.failures),
                    is_first_choice=plan is self.decision.chain[0],
                    asked_rung=self.decision.asked_rung,
                )
        return await self._last_resort()

    async def _attempt(self, plan: Plan, started_s: float) -> tuple[EncodedImage, tuple[StageReceipt, ...]]:
        work = Attempt(
            job=self.job,
            seed=self.seed,
            plan=plan,
            deadline=self._give_up_at(plan, started_s),
            deterministic=self.decision.deterministic,
            weight=self.decision.weight,
            spend=self.spend,
            on_partial=None if self.on_partial is None else self._show,
        )
        return await attempt(work, self.clients, self.fleet)

    def _show(self, partial: PartialImage) -> None:
        assert self.on_partial is not None
        self.shown = True
        self.on_partial(partial)

    def _give_up_at(self, plan: Plan, now_s: float) -> Deadline:
        """When this attempt must end so that the next candidate still has the time it is predicted to
        take, but never before the plan's own predicted time."""
        after = self._next_plan([*self._tried(), (plan, Outcome.DEADLINE_EXCEEDED)], None)
        if after is not None:
            reserve_ms = after.predicted_ms + HANDOVER_RESERVE_MS
        else:
            words = self._raster_words()
            reserve_ms = 0.0 if words is None else words.predicted_ms
            reserve_ms += RASTER_RESERVE_MS if self.decision.raster else 0.0
        return self.deadline.reserving(reserve_ms, at_least_ms=plan.predicted_ms, now_s=now_s)

    def _after(self, plan: Plan, error: errors.RenderError) -> Plan | None:
        """The plan to try after `plan` ended with `error`.

        Rendering has no side effects, so a lost replica's work may be done again by the same model: once,
        at once where the model has other replicas, else only when no other candidate is left.
        """
        if type(error) is errors.InvalidRequest:
            raise bad_request(error.code, error.message, error.param) from None
        if self.shown:
            return None
        remaining_ms = self.deadline.remaining_ms(time.monotonic())
        after = self._next_plan(self._tried(), remaining_ms)
        again = isinstance(error, errors.ReplicaLost) and self._losses(plan) == 1 and remaining_ms != 0
        if again and (after is None or all(self.fleet.replicas(model) > 1 for model in plan.models)):
            return plan
        return after

    def _next_plan(self, tried: list[tuple[Plan, Outcome]], remaining_ms: float | None) -> Plan | None:
        return next_plan(
            self.decision, tried, remaining_ms, self.fleet.snapshot(time.monotonic(), self.job.asset)
        )

    def _tried(self) -> list[tuple[Plan, Outcome]]:
        return [(failure.plan, failure.outcome) for failure in self.failures]

    def _losses(self, plan: Plan) -> int:
        return sum(failure.plan is plan for failure in self.failures)

    async def _last_resort(self) -> ImageOutcome:
        if self.decision.raster is not None and not self.shown:
            image, stages = await self._baked(self.decision.raster)
            return ImageOutcome(image, self.seed, None, stages, tuple(self.failures), False)
        last = self.failures[-1]
        trace.get_current_span().set_attribute(telemetry.ATTR_OUTCOME, last.outcome.value)
        tried = ", ".join(dict.fromkeys("+".join(each.plan.models) for each in self.failures))
        raise from_outcome(last.outcome, f"{last.reason} (tried: {tried})", last.retry_after_s)

    async def _baked(self, raster: str) -> tuple[EncodedImage, tuple[StageReceipt, ...]]:
        """The baked image; with the request's words where the route wants them, they can be set, and it is in
        time. Without them it is still what the route would rather answer than nothing."""
        plan, job = self._raster_words(), self.job
        if plan is not None and self._in_time(plan):
            started_s = time.monotonic()
            try:
                return await self._worded(raster, plan)
            except errors.RenderError as error:
                self.failures.append(_failure(plan, error, started_s))
        return await self.rasters.image(raster, job.asset.width, job.asset.height, job.encoding), ()

    async def _worded(self, raster: str, plan: Plan) -> tuple[EncodedImage, tuple[StageReceipt, ...]]:
        job, asset = self.job, self.job.asset
        ground = await self.rasters.ground(raster, asset.width, asset.height)
        height, width = ground.shape[:2]
        size = asset.width or width, asset.height or height
        fills = size == (width, height)
        encoding = job.encoding if fills else Encoding(ImageFormat.PNG, transparent=True)
        options = {**job.options, "words_only": True}
        work = Attempt(
            job=replace(job, image=ground, mask=None, encoding=encoding, options=options),
            seed=self.seed,
            plan=plan,
            deadline=self.deadline.earlier_by(RASTER_RESERVE_MS),
            deterministic=self.decision.deterministic,
            weight=self.decision.weight,
            spend=self.spend,
        )
        worded, stages = await attempt(work, self.clients, self.fleet)
        return worded if fills else await self.rasters.framed(worded, *size, job.encoding), stages

    def _raster_words(self) -> Plan | None:
        """What sets the request's words over the baked image, if it says any."""
        words, job = self.decision.raster_words, self.job
        says_any = words is not None and ("layout" in job.options or says_words(job.asset.prompt))
        return words if says_any else None

    def _in_time(self, words: Plan) -> bool:
        now_s = time.monotonic()
        remaining_ms = self.deadline.earlier_by(RASTER_RESERVE_MS).remaining_ms(now_s)
        return still_works(words, remaining_ms, self.fleet.snapshot(now_s, self.job.asset))


def _failure(plan: Plan, error: errors.RenderError, started_s: float) -> Failure:
    return Failure(
        plan=plan,
        outcome=outcome_of(error),
        reason=error.message,
        spent_ms=(time.monotonic() - started_s) * 1000,
        cost_usd=error.cost_usd,
        retry_after_s=getattr(error, "retry_after_s", None),
    )

"""Assembles the receipt of a request from what was decided and what was done."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from opentelemetry import trace

from deployments import telemetry
from deployments.types import EncodedImage, StageReceipt
from routing.types import Decision, Outcome, Plan
from serve.schemas import ImageEntry, Receipt, StageEntry, Substitution

RASTER = "raster"


@dataclass(frozen=True, slots=True)
class Failure:
    """A plan that was tried and did not answer. `cost_usd` is what that cost all the same."""

    plan: Plan
    outcome: Outcome
    reason: str
    spent_ms: float
    cost_usd: float = 0.0
    retry_after_s: float | None = None


class CacheState(StrEnum):
    """Whether an image was kept from before (hit), made for an equal request at the same time (shared), made
    and kept (miss), or is of a kind that is not reused (off)."""

    HIT = "hit"
    SHARED = "shared"
    MISS = "miss"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class ImageOutcome:
    """One image. `plan` is None when a baked raster asset answered; `stages` then are what set words over
    it. `is_first_choice`: by the plan that its
    decision put first. `asked_rung` is where the ladder started."""

    image: EncodedImage
    seed: int
    plan: Plan | None
    stages: tuple[StageReceipt, ...]
    failures: tuple[Failure, ...]
    is_first_choice: bool
    cache: CacheState = CacheState.OFF
    asked_rung: int = 0

    @property
    def model(self) -> str:
        if self.plan is None:
            return "+".join((RASTER, *(stage.model for stage in self.stages)))
        return "+".join(self.plan.models)

    @property
    def was_reused(self) -> bool:
        """Whether it was made for another request."""
        return self.cache in (CacheState.HIT, CacheState.SHARED)

    @property
    def substituted(self) -> bool:
        """Whether something other than what was asked of the route was delivered."""
        return self.plan is None or self.plan.rung > self.asked_rung or not self.is_first_choice

    @property
    def cost_usd(self) -> float:
        """Of the image and of the attempts before it."""
        return sum(each.cost_usd for each in self.stages) + sum(each.cost_usd for each in self.failures)


def receipt(
    request_id: str, decision: Decision, outcomes: Sequence[ImageOutcome], total_ms: float
) -> Receipt:
    """Images run side by side, so `queue_ms` and `run_ms` are of the slowest one."""
    stages = [stage for outcome in outcomes for stage in outcome.stages]
    return Receipt(
        request_id=request_id,
        trace_id=telemetry.trace_id(trace.get_current_span()),
        policy_version=decision.policy_version,
        route=decision.route,
        reason=decision.reason,
        model=outcomes[0].model,
        outcome=Outcome.OK.value,
        substituted=any(outcome.substituted for outcome in outcomes),
        budget_ms=decision.budget_ms,
        predicted_ms=round(decision.chain[0].predicted_ms, 3) if decision.chain else 0.0,
        queue_ms=round(max(sum(each.queue_ms for each in outcome.stages) for outcome in outcomes), 3),
        run_ms=round(max(sum(each.run_ms for each in outcome.stages) for outcome in outcomes), 3),
        total_ms=round(total_ms, 3),
        gpu_s=sum(stage.gpu_s for stage in stages),
        cost_usd=sum(outcome.cost_usd for outcome in outcomes),
        images=[_image(outcome) for outcome in outcomes],
    )


def _image(outcome: ImageOutcome) -> ImageEntry:
    return ImageEntry(
        seed=outcome.seed,
        model=outcome.model,
        generated=outcome.plan is not None,
        outcome=Outcome.OK.value,
        rung=outcome.plan.rung if outcome.plan else 0,
        substituted=outcome.substituted,
        substitutions=[_substitution(failure) for failure in outcome.failures],
        cache=outcome.cache.value,
        stages=[_stage(stage) for stage in outcome.stages],
        pixels_sha256=outcome.stages[-1].pixels_sha256 if outcome.plan and outcome.stages else None,
    )


def _substitution(failure: Failure) -> Substitution:
    return Substitution(
        models=list(failure.plan.models),
        outcome=failure.outcome.value,
        reason=failure.reason,
        spent_ms=round(failure.spent_ms, 3),
        cost_usd=failure.cost_usd,
    )


def _stage(stage: StageReceipt) -> StageEntry:
    return StageEntry(
        model=stage.model,
        revision=stage.revision,
        width=stage.width,
        height=stage.height,
        seed=stage.seed,
        steps=stage.steps,
        queue_ms=round(stage.queue_ms, 3),
        run_ms=round(stage.run_ms, 3),
        gpu_s=stage.gpu_s,
        cost_usd=stage.cost_usd,
        pixels_sha256=stage.pixels_sha256,
        details=dict(stage.details),
    )

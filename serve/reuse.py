"""The same image is not rendered twice: an exact cache of finished images, and one render for equal requests.

Only what is a function of its request is reused: plans of deterministic models, with the seed in the key
where the seed decides the pixels. Under its key an image belongs to one tenant unless the config says that
all share. Does not render and does not decide.
"""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from routing.budget import Deadline
from routing.cache import BoundedCache, SingleFlight, cache_key
from routing.types import Decision, ModelFacts, Outcome, Plan
from serve.config import CacheSpec
from serve.errors import from_outcome
from serve.fleet import Fleet
from serve.jobs import CacheUse, ImageJob
from serve.receipts import CacheState, ImageOutcome

ENTRY_OVERHEAD_BYTES = 2048
"""What an entry takes beside its image file: the key, the receipt of each stage."""

EVERYBODY = "*"

Render = Callable[[], Awaitable[ImageOutcome]]


@dataclass(slots=True)
class Reuse:
    """Stands in front of the rendering of each image."""

    settings: CacheSpec
    facts: Mapping[str, ModelFacts]
    fleet: Fleet
    _images: BoundedCache[ImageOutcome] = field(init=False)
    _flights: SingleFlight[ImageOutcome] = field(default_factory=SingleFlight)

    def __post_init__(self) -> None:
        self._images = BoundedCache(self.settings.max_bytes, ttl_s=self.settings.ttl_s)

    async def image(
        self, job: ImageJob, decision: Decision, seed: int, deadline: Deadline, render: Render
    ) -> ImageOutcome:
        """A kept image, one that another caller is having made, or a new one from `render`.

        Raises what `render` raises, to all who wait for it, and ApiError when the deadline passes while
        another caller's render is waited for.
        """
        if not self._may_reuse(job, decision):
            return await render()
        plan = decision.chain[0]
        key = self._key(job, decision, plan, seed)
        kept = self._images.get(key, time.monotonic()) if job.cache is CacheUse.REUSE else None
        if kept is not None:
            return _for_free(kept, seed, CacheState.HIT)
        if job.partial_images:
            return self._kept(job, decision, seed, await render())  # previews are of one's own render
        try:
            work_s = plan.predicted_ms / 1000
            flight = await self._flights.run(f"{job.cache} {key}", render, deadline.at_s, work_s)
        except TimeoutError:
            message = "the latency budget was used up while an equal request was rendered"
            raise from_outcome(Outcome.DEADLINE_EXCEEDED, message) from None
        if flight.shared:
            return _for_free(flight.value, seed, CacheState.SHARED)
        return self._kept(job, decision, seed, flight.value)

    def _may_reuse(self, job: ImageJob, decision: Decision) -> bool:
        if self.settings.max_bytes == 0 or job.cache is CacheUse.NONE or not decision.chain:
            return False
        facts = [self.facts[model] for model in decision.chain[0].models]
        if not all(each.deterministic for each in facts):
            return False
        return not _is_seeded(facts) or (decision.deterministic and job.seed_given)

    def _kept(self, job: ImageJob, decision: Decision, seed: int, outcome: ImageOutcome) -> ImageOutcome:
        """Keeps what the decision asked for first; what a fallback made is not what the request is for."""
        if outcome.is_first_choice and outcome.plan is not None:
            key = self._key(job, decision, outcome.plan, seed)  # the revisions that made it are known now
            size_bytes = len(outcome.image.data) + ENTRY_OVERHEAD_BYTES
            self._images.put(key, outcome, size_bytes, time.monotonic())
        return replace(outcome, cache=CacheState.MISS)

    def _key(self, job: ImageJob, decision: Decision, plan: Plan, seed: int) -> str:
        seeded = _is_seeded([self.facts[model] for model in plan.models])
        revisions = {model: self.fleet.revision(model) or "" for model in plan.models}
        inputs: dict[str, Any] = {
            "prompt": job.asset.prompt,
            "negative_prompt": job.negative_prompt,
            "seed": seed if seeded else None,
            "deterministic": decision.deterministic,
            "guidance_scale": job.guidance_scale,
            "lora": job.lora,
            "strength": job.strength,
            "options": dict(job.options),
            "encoding": [job.encoding.format, job.encoding.quality, job.encoding.transparent],
            "image": _pixels(job.image),
            "mask": _pixels(job.mask),
        }
        shared = self.settings.scope == "everybody"
        return cache_key(plan, revisions, inputs, EVERYBODY if shared else f"tenant {job.asset.tenant}")


def _is_seeded(facts: list[ModelFacts]) -> bool:
    return any(each.seeded for each in facts)


def _pixels(image: Any) -> list[Any] | None:
    return None if image is None else [list(image.shape), image.tobytes()]


def _for_free(outcome: ImageOutcome, seed: int, state: CacheState) -> ImageOutcome:
    """The same image; the work was done, and is paid for, elsewhere."""
    stages = tuple(
        replace(stage, queue_ms=0.0, run_ms=0.0, gpu_s=0.0, cost_usd=0.0) for stage in outcome.stages
    )
    failures = tuple(replace(failure, cost_usd=0.0) for failure in outcome.failures)
    return replace(outcome, seed=seed, stages=stages, failures=failures, cache=state)

"""One try of one plan: its stages one after the other, pixels handed from each to the next."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from typing import Any

from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.util.types import AttributeValue

from deployments import errors
from deployments import telemetry as replica_telemetry
from deployments.client import ModelClient
from deployments.model import PartialSink
from deployments.types import (
    EncodedImage,
    Pixels,
    Priority,
    RenderRequest,
    RenderResult,
    StageReceipt,
)
from deployments.typesetter.prompt import strip_text
from routing.budget import Deadline
from routing.types import Capability, Outcome, Plan, PlannedStage
from serve import telemetry
from serve.errors import outcome_of
from serve.fleet import Fleet
from serve.jobs import ImageJob

PREVIEWED = frozenset({Capability.GENERATE, Capability.EDIT})
"""Stages that have something to show before they end."""


Spend = Callable[[str, float], None]
"""Takes the model and the USD of a call, once that call has ended, also when nobody waits for it any more."""


def spend_nothing(model: str, usd: float) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Attempt:
    """`plan` for one image of `job`, to be given up at `deadline`. `weight` is its tenant's share of a busy
    model. `spend` is told what its calls cost."""

    job: ImageJob
    seed: int
    plan: Plan
    deadline: Deadline
    deterministic: bool
    weight: float = 1.0
    spend: Spend = spend_nothing
    on_partial: PartialSink | None = None

    def spare_ms(self, index: int, now_s: float) -> float | None:
        """How long stage `index` may wait for its model and the plan still be done in time."""
        run_ms = sum(stage.predicted_ms - stage.wait_ms for stage in self.plan.stages[index:])
        remaining_ms = self.deadline.remaining_ms(now_s)
        return None if remaining_ms is None else remaining_ms - run_ms

    def spent(self, stage: PlannedStage, usd: float) -> None:
        if usd > 0:
            self.spend(stage.model, usd)


async def attempt(
    work: Attempt, clients: Mapping[str, ModelClient], fleet: Fleet
) -> tuple[EncodedImage, tuple[StageReceipt, ...]]:
    """Raises RenderError as the first failing stage does."""
    pixels = work.job.image
    receipts: list[StageReceipt] = []
    for index, stage in enumerate(work.plan.stages):
        last = index == len(work.plan.stages) - 1
        try:
            result = await _stage(work, index, pixels, last, clients[stage.model], fleet)
        except errors.RenderError as error:
            error.cost_usd += sum(receipt.cost_usd for receipt in receipts)
            raise
        receipts.append(result.receipt)
        if isinstance(result.image, EncodedImage):
            if not last:
                raise errors.ModelFailed(f"model {stage.model} encoded an image that another stage needs")
            return result.image, tuple(receipts)
        pixels = result.image
    raise errors.ModelFailed(f"model {work.plan.stages[-1].model} returned pixels instead of a file")


async def _stage(
    work: Attempt,
    index: int,
    pixels: Pixels | None,
    last: bool,
    client: ModelClient,
    fleet: Fleet,
) -> RenderResult:
    """Waits for a place at the model, then calls it. The receipt's queue time includes that wait."""
    stage = work.plan.stages[index]
    attributes: dict[str, AttributeValue] = {
        telemetry.ATTR_MODEL: stage.model,
        telemetry.ATTR_RUNG: work.plan.rung,
    }
    with telemetry.tracer.start_as_current_span(
        telemetry.SPAN_HANDLE,
        kind=SpanKind.CLIENT,
        attributes=attributes,
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        arrived_s = time.monotonic()
        spare_ms = work.spare_ms(index, arrived_s)
        try:
            async with fleet.gates.admitted(work.job.asset, stage, work.weight, spare_ms):
                now_s = time.monotonic()
                waited_ms = (now_s - arrived_s) * 1000
                span.set_attribute(telemetry.ATTR_GATE_MS, waited_ms)
                remaining_ms = work.deadline.remaining_ms(now_s)
                if remaining_ms is not None:
                    span.set_attribute(telemetry.ATTR_REMAINING_MS, remaining_ms)
                request = _request(work, stage, pixels, last, remaining_ms)
                call = _call(client, request, work)
                result = await _sent(work, fleet, stage, waited_ms, remaining_ms, call)
        except errors.RenderError as error:
            span.set_attribute(telemetry.ATTR_OUTCOME, error.code)
            span.set_status(Status(StatusCode.ERROR, error.code))
            raise
        span.set_attribute(telemetry.ATTR_OUTCOME, Outcome.OK.value)
        return replace(result, receipt=replace(result.receipt, queue_ms=result.receipt.queue_ms + waited_ms))


async def _sent(
    work: Attempt,
    fleet: Fleet,
    stage: PlannedStage,
    waited_ms: float,
    remaining_ms: float | None,
    call: Coroutine[Any, Any, RenderResult],
) -> RenderResult:
    """The call, with the fleet told of its beginning and its end, and `work.spend` of what it cost."""
    sent = fleet.sent(stage, time.monotonic(), waited_ms)
    left_usd = fleet.usd_of_a_call_left(stage.model)
    try:
        result = await _bounded(call, remaining_ms, left_usd)
    except errors.RenderError as error:
        fleet.failed(sent, outcome_of(error), time.monotonic())
        work.spent(stage, error.cost_usd)
        raise
    except asyncio.CancelledError:
        fleet.failed(sent, Outcome.CANCELLED, time.monotonic())
        work.spent(stage, left_usd)
        raise
    fleet.succeeded(sent, result.receipt, time.monotonic())
    work.spent(stage, result.receipt.cost_usd)
    return result


def _prompt(work: Attempt, stage: PlannedStage) -> str:
    """A model that paints under words set later is not told the words: it would paint them too, badly."""
    prompt = work.job.asset.prompt
    set_later = any(each.capability is Capability.TYPESET for each in work.plan.stages)
    if set_later and stage.capability in PREVIEWED:
        return strip_text(prompt) or prompt
    return prompt


async def _call(client: ModelClient, request: RenderRequest, work: Attempt) -> RenderResult:
    if work.on_partial is None or not request.partial_images:
        return await client.render(request)
    async for event in client.stream(request):
        if isinstance(event, RenderResult):
            return event
        work.on_partial(event)
    raise errors.ModelFailed(f"model {client.name} ended its stream without an image")


async def _bounded(
    call: Coroutine[Any, Any, RenderResult], remaining_ms: float | None, left_usd: float
) -> RenderResult:
    """The call, ended at the deadline even if the replica has stopped answering."""
    if remaining_ms is None:
        return await call
    if remaining_ms <= 0:
        call.close()
        raise errors.DeadlineExceeded("no time was left for this stage")
    timeout = asyncio.timeout(remaining_ms / 1000)
    try:
        async with timeout:
            return await call
    except TimeoutError:
        if not timeout.expired():
            raise
        late = errors.DeadlineExceeded("the latency budget was used up")
        late.cost_usd = left_usd
        raise late from None


def _request(
    work: Attempt, stage: PlannedStage, pixels: Pixels | None, last: bool, remaining_ms: float | None
) -> RenderRequest:
    job, now_unix_s = work.job, time.time()
    return RenderRequest(
        request_id=job.request_id,
        prompt=_prompt(work, stage),
        width=stage.width,
        height=stage.height,
        seed=work.seed,
        steps=stage.steps,
        guidance_scale=job.guidance_scale,
        negative_prompt=job.negative_prompt,
        image=pixels,
        mask=job.mask,
        strength=job.strength,
        lora=job.lora,
        deterministic=work.deterministic,
        priority=Priority(job.asset.priority),
        partial_images=job.partial_images if stage.capability in PREVIEWED else 0,
        encoding=job.encoding if last else None,
        options=job.options,
        deadline_unix_s=None if remaining_ms is None else now_unix_s + remaining_ms / 1000,
        sent_unix_s=now_unix_s,
        trace=replica_telemetry.carrier(),
    )

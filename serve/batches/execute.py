"""Renders one line of a batch on the way that every request goes: policy, fallbacks, limits, receipt.

What differs: its priority is `batch`, it waits until the model it would go to has nothing waiting, and where
a caller would be told to come back later, it does.
"""

import asyncio
import json
import logging
import time
from dataclasses import dataclass

from deployments.telemetry import open_span
from routing.store import PolicyStore
from serve import telemetry
from serve.api.images import images_response, job_from
from serve.batches.records import Claim
from serve.config import Limits
from serve.dispatch import Dispatcher, decide
from serve.errors import ApiError, internal_error
from serve.files import ImageFiles
from serve.fleet import Fleet
from serve.jobs import ImageJob
from serve.schemas import ImageGenerationRequest

logger = logging.getLogger("atelier.batches")

IDLE_LOOK_INTERVAL_S = 0.05
IDLE_PATIENCE_S = 30.0
MAX_TRIES = 3
"""A 503 says that now is a bad time; after so many of them a line has failed. A 429 only ever means later."""


@dataclass(frozen=True, slots=True)
class LineAnswer:
    """`body` is what the endpoint would have answered, JSON."""

    status: int
    body: str


@dataclass(frozen=True, slots=True)
class Later:
    """The line is worth another try in `after_s`. `counts` is whether this was one."""

    after_s: float
    counts: bool = False


class LineExecutor:
    def __init__(
        self,
        dispatcher: Dispatcher,
        policies: PolicyStore,
        fleet: Fleet,
        files: ImageFiles,
        limits: Limits,
        public_base_url: str | None,
    ) -> None:
        self._dispatcher = dispatcher
        self._policies = policies
        self._fleet = fleet
        self._files = files
        self._limits = limits
        self._public_base_url = public_base_url

    async def run(self, claim: Claim) -> LineAnswer | Later:
        """Never raises but CancelledError."""
        with open_span(
            telemetry.tracer,
            telemetry.SPAN_BATCH_LINE,
            attributes={telemetry.ATTR_REQUEST_ID: claim.request_id},
        ):
            try:
                return await self._run(claim)
            except ApiError as error:
                return _refused(error, claim)
            except Exception:
                logger.exception("unexpected error in %s", claim.request_id)
                return _refused(internal_error(), claim)

    async def _run(self, claim: Claim) -> LineAnswer | Later:
        body = _request(claim)
        job = self._job(body, claim)
        if not await self._idle(job):
            return Later(IDLE_PATIENCE_S / 10)
        job = self._job(body, claim)  # the budget counts from here
        answer = await self._dispatcher.dispatch(job)
        base_url = self._public_base_url or claim.base_url
        response = await images_response(
            answer, job.encoding, body.response_format, self._files, base_url, claim.output_ttl_s
        )
        return LineAnswer(200, response.model_dump_json())

    def _job(self, body: ImageGenerationRequest, claim: Claim) -> ImageJob:
        return job_from(body, self._limits, claim.request_id, time.monotonic(), claim.tenant)

    async def _idle(self, job: ImageJob) -> bool:
        """Waits, for a while, until nobody waits for the models that the job would go to first."""
        give_up_s = time.monotonic() + IDLE_PATIENCE_S
        while self._is_busy(job):
            if time.monotonic() > give_up_s:
                return False
            await asyncio.sleep(IDLE_LOOK_INTERVAL_S)
        return True

    def _is_busy(self, job: ImageJob) -> bool:
        decision = decide(
            self._policies.current, job.asset, self._fleet.snapshot(time.monotonic(), job.asset)
        )
        return bool(decision.chain) and any(stage.wait_ms > 0 for stage in decision.chain[0].stages)


def _request(claim: Claim) -> ImageGenerationRequest:
    body = ImageGenerationRequest.model_validate_json(claim.line.body)
    options = body.atelier.model_copy(update={"priority": "batch"})
    return body.model_copy(update={"atelier": options})


def _refused(error: ApiError, claim: Claim) -> LineAnswer | Later:
    """`claims` counts tries that count, this one included."""
    retry_after_s = float(error.headers.get("retry-after", 1))
    if error.status == 429:
        return Later(retry_after_s)
    if error.status == 503 and claim.claims < MAX_TRIES:
        return Later(retry_after_s, counts=True)
    return LineAnswer(error.status, json.dumps(error.body()))

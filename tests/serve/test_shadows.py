"""Renders whose image is dropped: seen in metrics, never in answers."""

import asyncio
import time

from deployments.types import Priority, RenderRequest, RenderResult
from routing.types import AssetRequest, Capability, Decision, Plan, PlannedStage
from serve.gateway import Gateway
from serve.jobs import ImageJob
from serve.metrics import NoObserver
from serve.shadows import AT_ONCE
from tests.serve.gateways import Render, echo, gateway

POLICY = """
model_routing: []
default: {model: m, shadow: {model: candidate, share_ratio: 1.0}, max_latency_ms: 5000}
"""
MODELS = {"m": {"kind": "echo"}, "candidate": {"kind": "echo", "max_ongoing_requests": 40}}


class Candidate:
    """Notes what it is asked, and answers when told."""

    def __init__(self) -> None:
        self.asked: list[RenderRequest] = []
        self.go = asyncio.Event()

    async def render(self, request: RenderRequest) -> RenderResult:
        self.asked.append(request)
        await self.go.wait()
        return await echo("candidate").render(request)


class Noted(NoObserver):
    def __init__(self) -> None:
        self.shadows: list[tuple[str, str, str]] = []

    def shadowed(self, route: str, model: str, outcome: str, total_ms: float) -> None:
        assert total_ms > 0
        self.shadows.append((route, model, outcome))


def shadowing(candidate: Render) -> tuple[Gateway, Noted]:
    noted = Noted()
    return gateway(POLICY, MODELS, {"candidate": candidate}, noted), noted


def job(n: int = 0) -> ImageJob:
    return ImageJob(f"r{n}", time.monotonic(), AssetRequest("a cat", n=2), (7, 8))


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_the_answer_does_not_wait_and_what_the_shadow_took_is_counted() -> None:
    candidate = Candidate()
    made, noted = shadowing(candidate.render)
    answer = await made.dispatcher.dispatch(job())
    assert answer.receipt.model == "m"
    await settle()
    [asked] = candidate.asked
    assert (asked.seed, asked.priority) == (7, Priority.BATCH)
    assert noted.shadows == []
    candidate.go.set()
    await settle()
    assert noted.shadows == [("default", "candidate", "ok")]


async def test_a_shadow_that_fails_is_only_counted() -> None:
    async def broken(request: RenderRequest) -> RenderResult:
        raise RuntimeError("broken")

    made, noted = shadowing(broken)
    await made.dispatcher.dispatch(job())
    await settle()
    assert noted.shadows == [("default", "candidate", "model_error")]


async def test_shadows_are_few_and_end_with_the_router() -> None:
    candidate = Candidate()
    made, noted = shadowing(candidate.render)
    shadow = Plan((PlannedStage("candidate", Capability.GENERATE, 8, 8, None, 1.0),))
    decision = Decision("v1", "default", "it matched", 5000.0, (), shadow=shadow)
    for n in range(AT_ONCE + 3):
        made.dispatcher.shadows.start(job(n), decision)
    await settle()
    assert len(candidate.asked) == AT_ONCE
    await made.dispatcher.shadows.close()
    assert noted.shadows == []

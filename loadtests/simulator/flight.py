"""A request on its way through a simulation, and what the policy engine gets to see of it."""

from dataclasses import dataclass, field

from loadtests.workload import Call
from routing.types import AssetRequest, Decision, Outcome, Plan

_AUTO_SIZES = (None, "auto")


@dataclass(slots=True)
class Flight:
    """A request on its way. `waiting_for` counts the images of the present stage that are not there yet."""

    call: Call
    decision: Decision
    deadline_s: float | None
    plan: Plan | None = None
    stage: int = 0
    waiting_for: int = 0
    attempt: int = 0
    failed: list[tuple[Plan, Outcome]] = field(default_factory=list)


def asset_request(call: Call) -> AssetRequest:
    shot = call.shot
    width = height = None
    if shot.size not in _AUTO_SIZES:
        assert shot.size is not None
        width, height = (int(side) for side in shot.size.split("x"))
    return AssetRequest(
        prompt=call.prompt,
        asset=shot.asset,
        model=shot.model or "auto",
        width=width,
        height=height,
        quality=shot.quality,
        n=shot.n,
        steps=shot.steps,
        max_latency_ms=shot.max_latency_ms,
    )

"""Candidates to a chain of plans: filter, score, pick.

A candidate is out when it cannot make the image (capability, size, determinism), when a model of it takes
no calls (no replica, breaker open), or when its predicted time, with the error such predictions are known to
have, is over the budget. What is left is ordered by rank, then predicted time, then cost. Pure: the same
inputs give the same chain.
"""

from collections.abc import Sequence
from typing import NamedTuple

from routing.prediction import cost_usd, run_ms, uncertainty_ms
from routing.routes import Candidate
from routing.types import (
    AssetRequest,
    Capability,
    ModelState,
    Outcome,
    Plan,
    PlannedStage,
    Rejection,
    Snapshot,
)


class Planned(NamedTuple):
    """A candidate with its plan. `wait_ms` is the part of the predicted time that is spent in queues,
    `uncertainty_ms` how much later it may end. `busy` is the first model that takes no calls now."""

    candidate: Candidate
    plan: Plan
    predicted_ms: float
    wait_ms: float
    uncertainty_ms: float
    cost_usd: float
    busy: tuple[str, ModelState] | None


class Filtered(NamedTuple):
    """`over_budget` are plans that would work but for the time, `busy_s` the predicted seconds until a model
    that takes no calls now is worth asking, one entry per candidate that is out for it."""

    allowed: list[Planned]
    rejected: list[Rejection]
    over_budget: list[Planned]
    busy_s: list[float | None]


def filter_candidates(
    candidates: Sequence[Candidate],
    promise: Candidate,
    request: AssetRequest,
    deterministic: bool,
    budget_ms: float | None,
    snapshot: Snapshot,
) -> Filtered:
    """Nothing to filter gives nothing allowed and nothing rejected."""
    filtered = Filtered([], [], [], [])
    for candidate in candidates:
        planned = plan_candidate(candidate, promise, request, deterministic, snapshot)
        if isinstance(planned, str):
            filtered.rejected.append(Rejection(candidate.models, Outcome.UNSUPPORTED, planned))
        elif planned.busy is not None:
            model, state = planned.busy
            filtered.rejected.append(
                Rejection(candidate.models, Outcome.REFUSED_CAPACITY, _why_busy(model, state))
            )
            filtered.busy_s.append(state.retry_after_s)
        elif budget_ms is not None and planned.predicted_ms + planned.uncertainty_ms > budget_ms:
            filtered.rejected.append(
                Rejection(candidate.models, Outcome.REFUSED_BUDGET, _why_late(planned, budget_ms))
            )
            filtered.over_budget.append(planned)
        else:
            filtered.allowed.append(planned)
    return filtered


def score(planned: Planned) -> tuple[int, float, float]:
    """Less is better: the rank in the route, then the predicted time, then the cost."""
    return planned.candidate.rank, planned.predicted_ms, planned.cost_usd


def pick(allowed: Sequence[Planned]) -> tuple[Plan, ...]:
    """The chain, in the order of trying; ties keep the order of the file. Nothing gives an empty chain."""
    return tuple(planned.plan for planned in sorted(allowed, key=score))


def plan_candidate(
    candidate: Candidate, promise: Candidate, request: AssetRequest, deterministic: bool, snapshot: Snapshot
) -> Planned | str:
    """The plan with predicted times, or the reason why this candidate cannot make the image.

    `promise` is what the route would rather run: it sets the size of an image whose size nobody asked for.
    """
    problem = _cannot(candidate, request, deterministic)
    if problem is not None:
        return problem
    sizes = _sizes(candidate, promise, request)
    if isinstance(sizes, str):
        return sizes
    states, n = snapshot.models, request.n
    stages: list[PlannedStage] = []
    predicted_ms = wait_ms = uncertain_ms = cost = 0.0
    busy: tuple[str, ModelState] | None = None
    for index, stage in enumerate(candidate.stages):
        facts = stage.facts
        width, height = sizes[index]
        steps = _steps(candidate, index, request)
        state = states.get(facts.name)
        wait = 0.0
        if state is not None:
            wait = state.wait_ms
            if busy is None and (state.breaker_open or not state.available):
                busy = facts.name, state
        run = run_ms(facts, state, steps or facts.default_steps, width, height, n)
        capability = stage.capability or request.needs
        stages.append(PlannedStage(facts.name, capability, width, height, steps, wait + run, wait))
        predicted_ms += wait + run
        wait_ms += wait
        uncertain_ms += uncertainty_ms(state, wait, run)
        cost += cost_usd(facts, run, n)
    plan = Plan(tuple(stages), candidate.rank)
    return Planned(candidate, plan, predicted_ms, wait_ms, uncertain_ms, cost, busy)


def _why_busy(model: str, state: ModelState) -> str:
    if state.breaker_open:
        return f"{model} failed too often and is being left alone"
    return f"{model} has no replica ready"


def _why_late(planned: Planned, budget_ms: float) -> str:
    waiting = f", {planned.wait_ms:.0f} ms of it waiting" if planned.wait_ms > 0 else ""
    late = f", up to {planned.uncertainty_ms:.0f} ms more" if planned.uncertainty_ms >= 1 else ""
    return f"would take about {planned.predicted_ms:.0f} ms of {budget_ms:.0f} ms{waiting}{late}"


def _cannot(candidate: Candidate, request: AssetRequest, deterministic: bool) -> str | None:
    first = candidate.stages[0].facts
    if request.needs not in first.capabilities:
        return f"{first.name} cannot {request.needs.value}"
    last = candidate.stages[-1].facts
    if request.vector and not last.vector:
        return f"{last.name} makes no SVG"
    if deterministic:
        for stage in candidate.stages:
            if not stage.facts.deterministic:
                return f"{stage.facts.name} does not give the same pixels for the same seed"
    return None


def _steps(candidate: Candidate, index: int, request: AssetRequest) -> int | None:
    """The caller's steps go to the first stage; a cheaper rung or a fallback takes no more than it says."""
    own = candidate.stages[index].steps
    if index > 0 or request.steps is None:
        return own
    if candidate.rank > 0 and own is not None:
        return min(own, request.steps)
    return request.steps


def _sizes(candidate: Candidate, promise: Candidate, request: AssetRequest) -> list[tuple[int, int]] | str:
    """Width and height of each stage's output, or why there are none.

    With a size asked for, the first stage makes it divided by what the upscalers after it multiply. Without
    one, the promise renders its first model's default; a cheaper rung makes an image of the size of the
    promise, if that can be divided.
    """
    growth = candidate.stages[0].scale_after
    final = _final_size(candidate, promise, request)
    if final is None:
        return (
            f"{request.width}x{request.height} cannot be divided by {growth} for the upscaling in this chain"
        )
    sizes = []
    for stage in candidate.stages:
        width, height = final[0] // stage.scale_after, final[1] // stage.scale_after
        limit = stage.facts.max_pixels
        if limit is not None and width * height > limit:
            return f"{stage.facts.name} makes at most {limit} pixels, {width}x{height} has {width * height}"
        problem = None if stage.facts.size_problem is None else stage.facts.size_problem(width, height)
        if problem is not None:
            return f"{stage.facts.name} {problem}"
        sizes.append((width, height))
    return sizes


def _final_size(candidate: Candidate, promise: Candidate, request: AssetRequest) -> tuple[int, int] | None:
    first = candidate.stages[0]
    growth = first.scale_after
    if request.width is not None and request.height is not None:
        divides = request.width % growth == 0 and request.height % growth == 0
        return (request.width, request.height) if divides else None
    if request.input_width is not None and request.input_height is not None:
        grown = growth * (first.facts.scale if request.needs is Capability.UPSCALE else 1)
        return request.input_width * grown, request.input_height * grown
    if candidate.in_ladder and candidate.rank > 0:
        width, height = promise.default_size
        if width % growth == 0 and height % growth == 0:
            return width, height
    return candidate.default_size

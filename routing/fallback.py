"""After a failure: which plan of the chain comes next, if any.

Asked again after every attempt. A plan is passed over when its failure is foreseeable: a model of it takes
no calls, it no longer fits the time that is left, or it contains everything that has just failed.
"""

from collections.abc import Mapping, Sequence

from routing.types import Decision, Outcome, Plan, Snapshot

CONTINUES: Mapping[Outcome, bool] = {
    Outcome.OK: False,
    Outcome.CANCELLED: False,  # nobody waits for the answer
    Outcome.CONTENT_REFUSED: False,  # unless the route says so: another model may be laxer than is wanted
    Outcome.REFUSED_CAPACITY: True,
    Outcome.REFUSED_BUDGET: True,
    Outcome.DEADLINE_EXCEEDED: True,
    Outcome.OUT_OF_MEMORY: True,
    Outcome.MODEL_ERROR: True,
    Outcome.MODEL_GONE: True,
    Outcome.UNSUPPORTED: True,
}
"""Whether the chain goes on after an outcome. An invalid request is none: every model would refuse it."""

_CHEAPER_MAY_WORK = frozenset({Outcome.OUT_OF_MEMORY, Outcome.DEADLINE_EXCEEDED, Outcome.REFUSED_BUDGET})


def continues(decision: Decision, outcome: Outcome) -> bool:
    if outcome is Outcome.CONTENT_REFUSED:
        return decision.continue_on_content_refused
    return CONTINUES[outcome]


def next_plan(
    decision: Decision,
    failed: Sequence[tuple[Plan, Outcome]],
    remaining_ms: float | None,
    snapshot: Snapshot,
) -> Plan | None:
    """The next plan to try; None when the chain is exhausted (then: `decision.raster`, or fail).

    `failed` are the attempts so far in order; a plan in it is never returned again, so a chain ends.
    `remaining_ms` is what is left of the budget, None without one.
    """
    if any(not continues(decision, outcome) for _, outcome in failed):
        return None
    if remaining_ms is not None and remaining_ms <= 0:
        return None
    for plan in decision.chain:
        if any(_fails_too(plan, before, outcome) for before, outcome in failed):
            continue
        if still_works(plan, remaining_ms, snapshot):
            return plan
    return None


def still_works(plan: Plan, remaining_ms: float | None, snapshot: Snapshot) -> bool:
    """Whether its models take calls, and it fits into what is left of the budget (None: no budget)."""
    return _takes_calls(plan, snapshot) and _fits(plan, remaining_ms, snapshot)


def _fails_too(plan: Plan, before: Plan, outcome: Outcome) -> bool:
    """Whether the plan holds all models of one that failed, so also the culprit, and asks no less of them."""
    if plan == before:
        return True
    if not set(before.models) <= set(plan.models):
        return False
    if outcome is Outcome.OUT_OF_MEMORY:
        return not _smaller_images(plan, before)
    if outcome in _CHEAPER_MAY_WORK:
        return plan.predicted_ms >= before.predicted_ms
    return True


def _smaller_images(plan: Plan, before: Plan) -> bool:
    pixels = {stage.model: stage.width * stage.height for stage in plan.stages}
    return all(pixels[stage.model] < stage.width * stage.height for stage in before.stages)


def _takes_calls(plan: Plan, snapshot: Snapshot) -> bool:
    states = (snapshot.models.get(model) for model in plan.models)
    return all(state is None or (state.available and not state.breaker_open) for state in states)


def _fits(plan: Plan, remaining_ms: float | None, snapshot: Snapshot) -> bool:
    return remaining_ms is None or predicted_now_ms(plan, snapshot) <= remaining_ms


def predicted_now_ms(plan: Plan, snapshot: Snapshot) -> float:
    """The plan's predicted time with the queues as they are now instead of when it was made."""
    total = 0.0
    for stage in plan.stages:
        state = snapshot.models.get(stage.model)
        wait_ms = stage.wait_ms if state is None else state.wait_ms
        total += stage.predicted_ms - stage.wait_ms + wait_ms
    return total

"""Which requests take the next denoising step: a pure function of queue, costs and now.

Filter, order, fill: cancelled requests are dropped and hopeless ones refused; the rest stand in the
order of their slack; the first one's shape becomes the batch, and others of that shape fill it.
"""

from collections.abc import Iterable, Sequence

from deployments.engine.work import Batch, Costs, Plan, Refusal, Rules, Standing


def plan(queue: Sequence[Standing], costs: Costs, now_s: float, rules: Rules) -> Plan:
    """The next batch (None if nobody can run) and who is refused.

    Every request of the batch is in the queue, not cancelled and not refused; the batch holds one shape
    and at most `costs.cap(shape)` requests.
    """
    alive = [one for one in queue if not one.cancelled]
    refused = [Refusal(one.number, needed_s(one, costs)) for one in alive if _is_hopeless(one, costs, now_s)]
    hopeless = {one.number for one in refused}
    ordered = sorted(
        (one for one in alive if one.number not in hopeless), key=lambda one: _rank(one, costs, now_s, rules)
    )
    if not ordered:
        return Plan(None, refused)
    return Plan(_fill(ordered, costs, now_s, rules), refused)


def needed_s(one: Standing, costs: Costs, batch: int = 1) -> float:
    """Predicted time until the image, if every remaining step runs at once in batches of `batch`."""
    return one.steps_left * costs.step_s(one.shape, batch) + costs.decode_s(one.shape)


def slack_s(one: Standing, costs: Costs, now_s: float, rules: Rules) -> float:
    """Time to spare: deadline - now - predicted remaining time. Patience stands in for a deadline."""
    due_s = one.arrived_s + rules.patience_s if one.deadline_s is None else one.deadline_s
    return due_s - now_s - needed_s(one, costs)


def _is_hopeless(one: Standing, costs: Costs, now_s: float) -> bool:
    return one.deadline_s is not None and now_s + needed_s(one, costs) > one.deadline_s


def _rank(one: Standing, costs: Costs, now_s: float, rules: Rules) -> tuple[float, float, int]:
    """Least slack first; ties by arrival."""
    first = 0.0 if rules.in_order else slack_s(one, costs, now_s, rules)
    return (first, one.arrived_s, one.number)


def _fill(ordered: Sequence[Standing], costs: Costs, now_s: float, rules: Rules) -> Batch:
    """The head's batch: others of its shape join by rank, up to the cap."""
    head = ordered[0]
    cap = max(1, costs.cap(head.shape))
    members = [one for one in ordered if one.shape == head.shape][:cap]
    return _shaped(members, cap, rules)


def _shaped(members: Iterable[Standing], cap: int, rules: Rules) -> Batch:
    chosen = list(members)
    if not any(one.steady for one in chosen):
        return Batch(chosen[0].shape, tuple(one.number for one in chosen))
    # A fixed shape makes the arithmetic the same whoever the neighbours are. The width must not follow
    # the cap, which memory moves, except where it has to.
    width = min(rules.steady_width, cap)
    return Batch(chosen[0].shape, tuple(one.number for one in chosen[:width]), width)

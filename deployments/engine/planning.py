"""Which requests take the next denoising step: a pure function of queue, costs and now.

Filter, order, fill:

1. Cancelled requests are dropped. Those that cannot meet their deadline even alone are refused.
2. Of the rest, those that cannot all be on time are found by the rule of Moore and Hodgson: in the order
   of deadlines, whenever one would be late, the longest so far is given up. That keeps the most requests
   on time [Moore 1968, "An n job, one machine sequencing algorithm for minimizing the number of late
   jobs"]. Given up before its first step means refused, early enough for a cheaper model; after it, the
   request runs on in what room is left.
3. Suspects of a failed call lead, each alone, to be cleared or convicted. Then the earliest deadline leads.
   Slack (deadline - now - remaining time) orders as well on an idle machine, but under load it takes turns:
   a request that runs keeps its slack while the others lose theirs, so it is overtaken until all are late.
   benchmarks/engine_slo.py measures the three orders.
4. Others of the leader's shape fill its batch up to the cap, as long as the leader is still on time at the
   pace of the larger batch.
5. Who has no deadline lets shorter requests go first until its patience is over: those take the places of
   longer ones, and the longest leave the batch where the rest gains by it (`worth_sharing`). So that a
   steady stream of short ones stops nobody, the one that came first of those that have yielded for
   `yields_ratio` times what they take alone (background work excepted) takes part in every step. Only that
   one: in a rush of short ones a batch full of long ones would make all of them wait.
"""

import heapq
import math
from collections.abc import Sequence

from deployments.engine.work import Batch, Costs, Order, Plan, Refusal, Rules, Standing

_TOLERANCE_S = 1e-9

WORTHWHILE_RATIO = 1.1
"""So much faster the rest of a batch must progress before somebody steps aside for it."""


def plan(queue: Sequence[Standing], costs: Costs, now_s: float, rules: Rules) -> Plan:
    """The next batch (None if nobody can run) and who is refused.

    Every request of the batch is in the queue, not cancelled and not refused; the batch holds one shape
    and at most `costs.cap(shape)` requests. Ties are broken by arrival.
    """
    alive = [one for one in queue if not one.cancelled]
    refused = _hopeless(alive, costs, now_s)
    alive = _without(alive, refused)
    given_up: dict[int, float] = {}
    if rules.order is not Order.ARRIVAL:
        given_up = _given_up(alive, costs, now_s, rules)
        shed = [Refusal(one.number, given_up[one.number]) for one in alive if _may_shed(one, given_up)]
        alive = _without(alive, shed)
        refused += shed
    if not alive:
        return Plan(None, refused)
    ordered = sorted(
        alive, key=lambda one: (not one.alone, one.number in given_up, *_rank(one, costs, now_s, rules))
    )
    return Plan(_fill(ordered, ordered[0].number in given_up, costs, now_s, rules), refused)


def needed_s(one: Standing, costs: Costs, batch: int = 1) -> float:
    """Predicted time until the image, if every remaining step runs at once in batches of `batch`."""
    return one.steps_left * costs.step_s(one.shape, batch) + costs.decode_s(one.shape)


def due_s(one: Standing, rules: Rules) -> float:
    """The deadline; patience stands in for it where there is none."""
    if one.deadline_s is not None:
        return one.deadline_s
    return one.arrived_s + (rules.background_patience_s if one.background else rules.patience_s)


def worth_sharing(window: Sequence[Standing], costs: Costs, now_s: float, rules: Rules) -> Sequence[Standing]:
    """The part of the batch `window` that runs: all, or all but the longest of those that can wait.

    A step advances each member by 1 / steps of its work. A delay hurts the more, the less time a request
    takes alone, so progress counts by 1 / steps as well: the sum of 1 / steps² per second is compared.
    Among equals the full batch is always best, as long as a larger batch renders more images a second.
    """
    waiting = _by_length(window, costs, now_s, rules)
    best, best_rate = window, WORTHWHILE_RATIO * _progress(window, costs)
    for kept in range(len(waiting)):
        gone = {one.number for one in waiting[kept:]}
        rest = [one for one in window if one.number not in gone]
        if rest and (rate := _progress(rest, costs)) > best_rate:
            best, best_rate = rest, rate
    return best


def _hopeless(alive: Sequence[Standing], costs: Costs, now_s: float) -> list[Refusal]:
    """Who would be late even if it had the machine to itself."""
    return [
        Refusal(one.number, needed_s(one, costs))
        for one in alive
        if one.refusable
        and one.deadline_s is not None
        and _is_late(now_s + needed_s(one, costs), one.deadline_s)
    ]


def _given_up(alive: Sequence[Standing], costs: Costs, now_s: float, rules: Rules) -> dict[int, float]:
    """The fewest requests without which the rest is on time, with the time each was predicted to take.

    Work is counted as if it ran in full batches, which is the best that can be hoped for. Requests
    without a deadline, or not refusable, take their share of the machine but are never given up.
    """
    given_up: dict[int, float] = {}
    kept: list[tuple[float, int]] = []
    ends_s = now_s
    for one in sorted(alive, key=lambda one: (due_s(one, rules), one.number)):
        cap = max(1, costs.cap(one.shape))
        work_s = one.steps_left * costs.step_s(one.shape, cap) / cap
        ends_s += work_s
        if one.deadline_s is None or not one.refusable:
            continue
        heapq.heappush(kept, (-work_s, one.number))
        image_s = ends_s + costs.decode_s(one.shape)
        if _is_late(image_s, one.deadline_s):
            negative_work_s, longest = heapq.heappop(kept)
            ends_s += negative_work_s
            given_up[longest] = image_s - now_s
    return given_up


def _may_shed(one: Standing, given_up: dict[int, float]) -> bool:
    return one.number in given_up and one.steps_done == 0


def _rank(one: Standing, costs: Costs, now_s: float, rules: Rules) -> tuple[float, float, int]:
    match rules.order:
        case Order.DEADLINE:
            first = due_s(one, rules)
        case Order.SLACK:
            first = due_s(one, rules) - now_s - needed_s(one, costs)
        case Order.ARRIVAL:
            first = 0.0
    return (first, *_arrival(one))


def _fill(
    ordered: Sequence[Standing], leader_is_given_up: bool, costs: Costs, now_s: float, rules: Rules
) -> Batch:
    leader = ordered[0]
    cap = max(1, costs.cap(leader.shape))
    room = cap
    if leader.alone:
        room = 1
    elif rules.order is not Order.ARRIVAL and not leader_is_given_up:
        room = _largest_in_time(leader, cap, costs, now_s)
    company = [one for one in ordered if one is leader or (one.shape == leader.shape and not one.alone)]
    # A fixed width makes the arithmetic of a steady request the same whoever its neighbours are. Neither
    # load nor deadlines may move the width; memory may, where nothing else would run at all.
    width = min(rules.steady_width, cap)
    if not leader.steady and room < width:
        company = [one for one in company if not one.steady]
    members: Sequence[Standing] = company[:room]
    if rules.order is not Order.ARRIVAL and not leader.alone:
        members = worth_sharing(_shorter_first(company, costs, now_s, rules)[:room], costs, now_s, rules)
    if not any(one.steady for one in members):
        return Batch(leader.shape, _numbers(members))
    return Batch(leader.shape, _numbers(company[: 1 if leader.alone else width]), width)


def _shorter_first(company: Sequence[Standing], costs: Costs, now_s: float, rules: Rules) -> list[Standing]:
    """Those without a deadline change places among themselves: who insists, then the shortest."""
    waiting = _by_length(company, costs, now_s, rules)
    can_wait = {one.number for one in waiting}
    insisting = [one for one in company if one.deadline_s is None and one.number not in can_wait]
    in_turn = iter([*insisting, *waiting])
    return [next(in_turn) if one.deadline_s is None else one for one in company]


def _by_length(requests: Sequence[Standing], costs: Costs, now_s: float, rules: Rules) -> list[Standing]:
    """Those that can wait, background work after all others, the shortest first."""
    patient = [one for one in requests if one.deadline_s is None and now_s < due_s(one, rules)]
    yielded = [one for one in patient if _has_yielded(one, costs, now_s, rules)]
    insists = min(yielded, key=_arrival, default=None)
    waiting = (one for one in patient if one is not insists)
    return sorted(waiting, key=lambda one: (one.background, one.steps, *_arrival(one)))


def _has_yielded(one: Standing, costs: Costs, now_s: float, rules: Rules) -> bool:
    """Long enough. On a guess everybody has: where no step was seen, no time is known that it takes alone."""
    alone_s = one.steps * costs.step_s(one.shape, 1)
    return not one.background and now_s >= one.arrived_s + rules.yields_ratio * alone_s


def _arrival(one: Standing) -> tuple[float, int]:
    return one.arrived_s, one.number


def _progress(batch: Sequence[Standing], costs: Costs) -> float:
    """Infinite where nothing is known of the time that a step takes."""
    step_s = costs.step_s(batch[0].shape, len(batch))
    return sum(1 / one.steps**2 for one in batch) / step_s if step_s > 0 else math.inf


def _numbers(members: Sequence[Standing]) -> tuple[int, ...]:
    return tuple(one.number for one in members)


def _largest_in_time(leader: Standing, cap: int, costs: Costs, now_s: float) -> int:
    """The largest batch at whose pace the leader still meets its deadline; at least 1."""
    if leader.deadline_s is None:
        return cap
    for batch in range(cap, 1, -1):
        if not _is_late(now_s + needed_s(leader, costs, batch), leader.deadline_s):
            return batch
    return 1


def _without(alive: Sequence[Standing], refused: Sequence[Refusal]) -> list[Standing]:
    gone = {refusal.number for refusal in refused}
    return [one for one in alive if one.number not in gone]


def _is_late(instant_s: float, deadline_s: float) -> bool:
    return instant_s > deadline_s + _TOLERANCE_S

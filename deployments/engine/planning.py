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
5. Who has ample time until its deadline, or until its patience is over, lets shorter requests take its
   place; and until `yields_ratio` times what it takes alone has passed (background work: always) it leaves
   the batch where the rest gains by it (`worth_sharing`). After that it fills places that are left: smaller
   batches render fewer images a second, and a queue that grows must not make them smaller still. So that a
   steady stream of short ones stops nobody, of those that have waited so long the first keeps its place.
6. A step of one shape keeps the others waiting. If the leader has ample time, the shortest of all shapes
   leads instead, by turns with the first of those that have waited so long.
"""

import functools
import heapq
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from deployments.engine.work import Batch, Costs, Order, Plan, Refusal, Rules, Shape, Standing

_TOLERANCE_S = 1e-9

WORTHWHILE_RATIO = 1.1
"""So much faster the rest of a batch must progress before somebody steps aside for it."""

AMPLE_RATIO = 2.0
"""Who has a deadline lets others go first while it could be done so many times as much later as it still
needs in a full batch. With less, requests that come later make some of the long ones late; so, as many are
on time as if nobody let others go first (benchmarks/engine_slo.py)."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """Costs of one plan, during which they do not change: each is worked out once."""

    step_s: Callable[[Shape, int], float]
    decode_s: Callable[[Shape], float]
    cap: Callable[[Shape], int]


def plan(
    queue: Sequence[Standing], costs: Costs, now_s: float, rules: Rules, last: Shape | None = None
) -> Plan:
    """The next batch (None if nobody can run) and who is refused. `last` is the shape of the step before.

    Every request of the batch is in the queue, not cancelled and not refused; the batch holds one shape
    and at most `costs.cap(shape)` requests. Ties are broken by arrival.
    """
    costs = _Asked(functools.cache(costs.step_s), functools.cache(costs.decode_s), functools.cache(costs.cap))
    alive = [one for one in queue if not one.cancelled]
    refused = _hopeless(alive, costs, now_s)
    alive = _without(alive, refused)
    given_up: Mapping[int, float] = {}
    spare_s: Mapping[int, float] = {}
    if rules.order is not Order.ARRIVAL:
        given_up, spare_s = _forecast(alive, costs, now_s, rules)
        shed = [Refusal(one.number, given_up[one.number]) for one in alive if _may_shed(one, given_up)]
        alive = _without(alive, shed)
        refused += shed
    if not alive:
        return Plan(None, refused)
    ordered = sorted(
        alive, key=lambda one: (not one.alone, one.number in given_up, *_rank(one, costs, now_s, rules))
    )
    leader = ordered[0]
    if rules.order is not Order.ARRIVAL:
        leader = _leader(ordered, last, spare_s, costs, now_s, rules)
    return Plan(_fill(ordered, leader, leader.number in given_up, spare_s, costs, now_s, rules), refused)


def needed_s(one: Standing, costs: Costs, batch: int = 1) -> float:
    """Predicted time until the image, if every remaining step runs at once in batches of `batch`."""
    return one.steps_left * costs.step_s(one.shape, batch) + costs.decode_s(one.shape)


def due_s(one: Standing, rules: Rules) -> float:
    """The deadline; patience stands in for it where there is none."""
    if one.deadline_s is not None:
        return one.deadline_s
    return one.arrived_s + (rules.background_patience_s if one.background else rules.patience_s)


def worth_sharing(
    window: Sequence[Standing], leaving: Sequence[Standing], costs: Costs
) -> Sequence[Standing]:
    """The part of the batch `window` that runs: all, or all but the last few of those that are `leaving`.

    A step advances each member by 1 / steps of its work. A delay hurts the more, the less time a request
    takes alone, so progress counts by 1 / steps as well: the sum of 1 / steps² per second is compared.
    Among equals the full batch is always best, as long as a larger batch renders more images a second.
    """
    inside = {one.number for one in window}
    last_first = [one for one in reversed(leaving) if one.number in inside]
    progress, size = sum(1 / one.steps**2 for one in window), len(window)
    gone, best_rate = 0, WORTHWHILE_RATIO * _per_s(progress, window[0].shape, size, costs)
    for left, one in enumerate(last_first, start=1):
        progress -= 1 / one.steps**2
        if left < size and (rate := _per_s(progress, window[0].shape, size - left, costs)) > best_rate:
            gone, best_rate = left, rate
    numbers = {one.number for one in last_first[:gone]}
    return [one for one in window if one.number not in numbers]


def _hopeless(alive: Sequence[Standing], costs: Costs, now_s: float) -> list[Refusal]:
    """Who would be late even if it had the machine to itself."""
    return [
        Refusal(one.number, needed_s(one, costs))
        for one in alive
        if one.refusable
        and one.deadline_s is not None
        and _is_late(now_s + needed_s(one, costs), one.deadline_s)
    ]


def _forecast(
    alive: Sequence[Standing], costs: Costs, now_s: float, rules: Rules
) -> tuple[Mapping[int, float], Mapping[int, float]]:
    """The fewest requests without which the rest is on time, with the time each was predicted to take; and,
    where that is nobody, how much later each of those with a deadline may be done without making it, or any
    that is due after it, late.

    Work is counted as if it ran in full batches, which is the best that can be hoped for. Requests
    without a deadline, or not refusable, take their share of the machine but are never given up.
    """
    given_up: dict[int, float] = {}
    kept: list[tuple[float, int]] = []
    images: list[tuple[Standing, float]] = []
    ends_s = now_s
    for one in sorted(alive, key=lambda one: (due_s(one, rules), one.number)):
        cap = max(1, costs.cap(one.shape))
        work_s = one.steps_left * costs.step_s(one.shape, cap) / cap
        ends_s += work_s
        image_s = ends_s + costs.decode_s(one.shape)
        images.append((one, image_s))
        if one.deadline_s is None or not one.refusable:
            continue
        heapq.heappush(kept, (-work_s, one.number))
        if _is_late(image_s, one.deadline_s):
            negative_work_s, longest = heapq.heappop(kept)
            ends_s += negative_work_s
            given_up[longest] = image_s - now_s
    return given_up, {} if given_up else _spare_s(images)


def _spare_s(images: Sequence[tuple[Standing, float]]) -> dict[int, float]:
    spare_s, least_s = {}, math.inf
    for one, image_s in reversed(images):
        if one.deadline_s is not None:
            least_s = min(least_s, one.deadline_s - image_s)
            spare_s[one.number] = least_s
    return spare_s


def _may_shed(one: Standing, given_up: Mapping[int, float]) -> bool:
    return one.number in given_up and one.steps_done == 0


def _rank(one: Standing, costs: Costs, now_s: float, rules: Rules) -> tuple[float, float, int]:
    match rules.order:
        case Order.DEADLINE:
            first = due_s(one, rules)
        case Order.SLACK:
            first = due_s(one, rules) - now_s - needed_s(one, costs)
        case Order.ARRIVAL:
            first = 0.0
    return (first, one.arrived_s, one.number)


def _leader(
    ordered: Sequence[Standing],
    last: Shape | None,
    spare_s: Mapping[int, float],
    costs: Costs,
    now_s: float,
    rules: Rules,
) -> Standing:
    """The first, unless it has ample time and there are other shapes: then the shortest of all that have,
    taking turns with who has waited long enough, because a step of one shape keeps the others waiting."""
    first = ordered[0]
    if first.alone or len({one.shape for one in ordered}) == 1:
        return first
    if not _has_time(first, spare_s, costs, now_s, rules):
        return first
    patient = [one for one in ordered if not one.alone and _has_time(one, spare_s, costs, now_s, rules)]
    waited = [one for one in patient if _has_waited(one, costs, now_s, rules)]
    longest = min(waited, key=lambda one: _turn(one, rules), default=None)
    if longest is not None and longest.shape != last:
        return longest
    return min(patient, key=lambda one: (one.background, _alone_s(one, costs), *_turn(one, rules)))


def _alone_s(one: Standing, costs: Costs) -> float:
    return one.steps * costs.step_s(one.shape, 1)


def _fill(
    ordered: Sequence[Standing],
    leader: Standing,
    leader_is_given_up: bool,
    spare_s: Mapping[int, float],
    costs: Costs,
    now_s: float,
    rules: Rules,
) -> Batch:
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
    if rules.order is not Order.ARRIVAL and not leader.alone and _differ(company):
        patient, leaving = _patient(company, spare_s, costs, now_s, rules)
        members = worth_sharing(_in_turn(company, patient)[:room], leaving, costs)
    if not any(one.steady for one in members):
        return Batch(leader.shape, _numbers(members))
    return Batch(leader.shape, _numbers(company[: 1 if leader.alone else width]), width)


def _differ(company: Sequence[Standing]) -> bool:
    """Among equals nobody has a reason to step aside."""
    return len({(one.steps, one.background) for one in company}) > 1


def _in_turn(company: Sequence[Standing], patient: Sequence[Standing]) -> list[Standing]:
    """The patient change places among themselves."""
    theirs = {one.number for one in patient}
    next_one = iter(patient)
    return [next(next_one) if one.number in theirs else one for one in company]


def _patient(
    company: Sequence[Standing],
    spare_s: Mapping[int, float],
    costs: Costs,
    now_s: float,
    rules: Rules,
) -> tuple[Sequence[Standing], Sequence[Standing]]:
    """Those that have ample time in the order in which they take their places, and those of them, in the
    same order, that may leave the batch.

    First comes who has waited longest of those that have waited long enough; then background work after all
    others, the shortest first.
    """
    patient = [one for one in company if _has_time(one, spare_s, costs, now_s, rules)]
    waited = [one for one in patient if _has_waited(one, costs, now_s, rules)]
    first = min(waited, key=lambda one: _turn(one, rules), default=None)
    others = [one for one in patient if one is not first]
    others.sort(key=lambda one: (one.background, one.steps, *_turn(one, rules)))
    stay = {one.number for one in waited}
    in_turn = others if first is None else [first, *others]
    return in_turn, [one for one in others if one.number not in stay]


def _has_time(one: Standing, spare_s: Mapping[int, float], costs: Costs, now_s: float, rules: Rules) -> bool:
    if one.deadline_s is None:
        return now_s < due_s(one, rules)
    in_company_s = needed_s(one, costs, max(1, costs.cap(one.shape)))
    return spare_s.get(one.number, 0.0) > AMPLE_RATIO * in_company_s


def _has_waited(one: Standing, costs: Costs, now_s: float, rules: Rules) -> bool:
    """Long enough. On a guess everybody has: where no step was seen, no time is known that it takes alone."""
    alone_s = one.steps * costs.step_s(one.shape, 1)
    return not one.background and now_s >= one.arrived_s + rules.yields_ratio * alone_s


def _turn(one: Standing, rules: Rules) -> tuple[float, float, int]:
    return due_s(one, rules), one.arrived_s, one.number


def _per_s(progress: float, shape: Shape, batch: int, costs: Costs) -> float:
    """Infinite where nothing is known of the time that a step takes."""
    step_s = costs.step_s(shape, batch)
    return progress / step_s if step_s > 0 else math.inf


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

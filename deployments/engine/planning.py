"""Which requests take the next denoising step: a pure function of queue, costs, now and the last shape.

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
5. Who has ample time lets shorter requests go first (courtesy.py).
"""

import functools
import heapq
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from deployments.engine.courtesy import Courtesy
from deployments.engine.timing import due_s, needed_s
from deployments.engine.work import Batch, Costs, Order, Plan, Refusal, Rules, Shape, Standing

_TOLERANCE_S = 1e-9


@dataclass(frozen=True, slots=True)
class _Asked:
    """Costs of one plan, during which they do not change: each is worked out once."""

    step_s: Callable[[Shape, int], float]
    decode_s: Callable[[Shape], float]
    cap: Callable[[Shape], int]

    @classmethod
    def of(cls, costs: Costs) -> "_Asked":
        return cls(
            functools.cache(costs.step_s),
            functools.cache(costs.decode_s),
            functools.cache(lambda shape: max(1, costs.cap(shape))),
        )


def plan(
    queue: Sequence[Standing], costs: Costs, now_s: float, rules: Rules, last: Shape | None = None
) -> Plan:
    """The next batch (None if nobody can run) and who is refused. `last` is the shape of the step before.

    Every request of the batch is in the queue, not cancelled and not refused; the batch holds one shape
    and at most `costs.cap(shape)` requests. Ties are broken by arrival.
    """
    costs = _Asked.of(costs)
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
    if rules.order is Order.ARRIVAL:
        return Plan(_batch(ordered, ordered[0], costs.cap(ordered[0].shape), None, costs, rules), refused)
    courtesy = Courtesy(spare_s, costs, now_s, rules)
    leader = courtesy.leader(ordered, last)
    room = costs.cap(leader.shape)
    if leader.number not in given_up:
        room = _largest_in_time(leader, room, costs, now_s)
    return Plan(_batch(ordered, leader, room, courtesy, costs, rules), refused)


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
        cap = costs.cap(one.shape)
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


def _batch(
    ordered: Sequence[Standing],
    leader: Standing,
    room: int,
    courtesy: Courtesy | None,
    costs: Costs,
    rules: Rules,
) -> Batch:
    # A fixed width makes the arithmetic of a steady request the same whoever its neighbours are. Neither
    # load nor deadlines may move the width; memory may, where nothing else would run at all.
    width = min(rules.steady_width, costs.cap(leader.shape))
    if leader.alone:
        return Batch(leader.shape, (leader.number,), width if leader.steady else None)
    company: Sequence[Standing] = [one for one in ordered if one.shape == leader.shape and not one.alone]
    if not leader.steady and room < width:
        company = [one for one in company if not one.steady]
    if courtesy is None:
        members = company[:room]
    else:
        company = courtesy.in_turn(company)
        members = courtesy.staying(company[:room])
    if any(one.steady for one in members):
        return Batch(leader.shape, _numbers(company[:width]), width)
    return Batch(leader.shape, _numbers(members))


def _numbers(members: Sequence[Standing]) -> tuple[int, ...]:
    return tuple(one.number for one in members)


def _largest_in_time(leader: Standing, cap: int, costs: Costs, now_s: float) -> int:
    """The largest batch up to `cap` at whose pace the leader still meets its deadline; at least 1."""
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

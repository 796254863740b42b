"""Who lets others go first: requests with ample time, for the sake of shorter ones. Pure, like the plan.

A request without a deadline has ample time until its patience is over, one with a deadline while everybody
can be on time and it could be done much later than predicted. It gives way in three degrees:

- It lets shorter ones take its place in a full batch.
- Until `yields_ratio` times what it takes alone has passed (background work: always) it also leaves the batch
  where the rest gains by it. After that it fills places that are left: smaller batches render fewer images a
  second, and a queue that grows must not make them smaller still. So that a stream of short ones stops
  nobody, of those that have waited so long the first keeps its place.
- A step of one shape keeps the others waiting. If the request that leads has ample time, the shortest of all
  shapes leads instead, by turns with the first of those that have waited so long.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from deployments.engine.timing import alone_s, due_s, needed_s
from deployments.engine.work import Costs, Rules, Shape, Standing

WORTHWHILE_RATIO = 1.1
"""So much faster the rest of a batch must progress before somebody leaves it."""

AMPLE_RATIO = 2.0
"""Who has a deadline has ample time while it could be done so many times as much later as it still needs in a
full batch. With less, requests that come later make some of the long ones late; so, as many are on time as if
nobody let others go first (benchmarks/engine_slo.py)."""


@dataclass(frozen=True, slots=True)
class Courtesy:
    """`spare_s`: how much later than predicted each request with a deadline may be done. Who has one and is
    not in it has no time to spare."""

    spare_s: Mapping[int, float]
    costs: Costs
    now_s: float
    rules: Rules

    def leader(self, ordered: Sequence[Standing], last: Shape | None) -> Standing:
        """Whose shape the next step has. `ordered`: who would lead if nobody was courteous. `last` is the
        shape of the step before."""
        first = ordered[0]
        if len({one.shape for one in ordered}) == 1 or not self._has_time(first):
            return first
        patient = [one for one in ordered if self._has_time(one)]
        waited = self._first_that_has_waited(patient)
        if waited is not None and waited.shape != last:
            return waited
        return min(
            patient, key=lambda one: (one.background, alone_s(one, self.costs), *_turn(one, self.rules))
        )

    def in_turn(self, company: Sequence[Standing]) -> Sequence[Standing]:
        """Requests of one shape, those that have ample time by length at the places of such requests: first
        who has waited long enough, last background work."""
        if _are_equal(company):
            return company
        patient = [one for one in company if self._has_time(one)]
        first = self._first_that_has_waited(patient)
        patient.sort(key=lambda one: (one is not first, one.background, one.steps, *_turn(one, self.rules)))
        theirs = {one.number for one in patient}
        next_one = iter(patient)
        return [next(next_one) if one.number in theirs else one for one in company]

    def staying(self, batch: Sequence[Standing]) -> Sequence[Standing]:
        """The part of a batch, given in turn, that is left when all have left it for whom it is worth it."""
        if _are_equal(batch):
            return batch
        may_leave = [one for one in batch if self._has_time(one) and not self._has_waited(one)]
        return worth_sharing(batch, may_leave, self.costs)

    def _has_time(self, one: Standing) -> bool:
        if one.alone:
            return False
        if one.deadline_s is None:
            return self.now_s < due_s(one, self.rules)
        in_company_s = needed_s(one, self.costs, self.costs.cap(one.shape))
        return self.spare_s.get(one.number, 0.0) > AMPLE_RATIO * in_company_s

    def _has_waited(self, one: Standing) -> bool:
        """On a guess everybody has: where no step was seen, no time is known that it takes alone."""
        if one.background:
            return False
        return self.now_s >= one.arrived_s + self.rules.yields_ratio * alone_s(one, self.costs)

    def _first_that_has_waited(self, patient: Sequence[Standing]) -> Standing | None:
        waited = (one for one in patient if self._has_waited(one))
        return min(waited, key=lambda one: _turn(one, self.rules), default=None)


def _are_equal(requests: Sequence[Standing]) -> bool:
    """Among equals nobody has a reason to give way."""
    return len({(one.steps, one.background) for one in requests}) <= 1


def worth_sharing(batch: Sequence[Standing], leaving: Sequence[Standing], costs: Costs) -> Sequence[Standing]:
    """The part of `batch` that runs: all, or all but the last few of those that are `leaving`.

    A step advances each member by 1 / steps of its work. A delay hurts the more, the less time a request
    takes alone, so progress counts by 1 / steps as well: the sum of 1 / steps² per second is compared.
    Among equals the full batch is always best, as long as a larger batch renders more images a second.
    """
    progress, size = sum(1 / one.steps**2 for one in batch), len(batch)
    gone, best_rate = 0, WORTHWHILE_RATIO * _per_s(progress, batch[0].shape, size, costs)
    last_first = leaving[::-1]
    for left, one in enumerate(last_first, start=1):
        progress -= 1 / one.steps**2
        if left < size and (rate := _per_s(progress, batch[0].shape, size - left, costs)) > best_rate:
            gone, best_rate = left, rate
    numbers = {one.number for one in last_first[:gone]}
    return [one for one in batch if one.number not in numbers]


def _per_s(progress: float, shape: Shape, batch: int, costs: Costs) -> float:
    """Infinite where nothing is known of the time that a step takes."""
    step_s = costs.step_s(shape, batch)
    return progress / step_s if step_s > 0 else math.inf


def _turn(one: Standing, rules: Rules) -> tuple[float, float, int]:
    return due_s(one, rules), one.arrived_s, one.number

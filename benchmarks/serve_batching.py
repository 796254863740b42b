"""What `@ray_serve.batch` does with arrivals, in virtual time: how much it can serve, and how late.

Serve closes a batch `wait_s` after its first request came, or once it is full, whether or not the batch
before it is done; closed batches wait for their turn. So a short wait makes small batches however long the
queue is, and what such a deployment can serve depends on that wait. The time of a batch is the sum over
groups of equal steps, each measured.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.engine_workload import poisson, quantile, short_and_long

GroupTime = Callable[[int, int], float]
"""Steps and number of requests to the seconds that one pipeline call takes."""

SIMULATED = 4_000


@dataclass(frozen=True, slots=True)
class Closed:
    """A batch: when it was closed, and which requests are in it."""

    at_s: float
    members: Sequence[int]


def closed_batches(instants_s: Sequence[float], wait_s: float, max_batch: int) -> list[Closed]:
    batches, first = [], 0
    while first < len(instants_s):
        until_s = instants_s[first] + wait_s
        last = first + 1
        while last < len(instants_s) and last - first < max_batch and instants_s[last] <= until_s:
            last += 1
        full = last - first == max_batch
        batches.append(Closed(instants_s[last - 1] if full else until_s, range(first, last)))
        first = last
    return batches


def batch_s(batch: Closed, steps: Sequence[int], group_s: GroupTime) -> float:
    groups = Counter(steps[member] for member in batch.members)
    return sum(group_s(count, size) for count, size in groups.items())


def latencies(
    instants_s: Sequence[float], steps: Sequence[int], wait_s: float, max_batch: int, group_s: GroupTime
) -> list[float]:
    """Seconds, by request; a whole batch answers at its end."""
    free_s, waited = 0.0, [0.0] * len(instants_s)
    for batch in closed_batches(instants_s, wait_s, max_batch):
        free_s = max(free_s, batch.at_s) + batch_s(batch, steps, group_s)
        for member in batch.members:
            waited[member] = free_s - instants_s[member]
    return waited


def capacity_per_s(wait_s: float, max_batch: int, group_s: GroupTime) -> float:
    """The highest rate of mixed arrivals at which the backlog does not grow: work asks for all the time."""
    steps = short_and_long(SIMULATED, seed=1)

    def busy_ratio(rate_per_s: float) -> float:
        instants_s = poisson(rate_per_s, SIMULATED, seed=1)
        work_s = sum(batch_s(one, steps, group_s) for one in closed_batches(instants_s, wait_s, max_batch))
        return work_s / instants_s[-1]

    low_per_s, high_per_s = 0.0, 1.0
    while busy_ratio(high_per_s) < 1:
        low_per_s, high_per_s = high_per_s, 2 * high_per_s
    while high_per_s > 1.005 * low_per_s:
        middle_per_s = (low_per_s + high_per_s) / 2
        if busy_ratio(middle_per_s) < 1:
            low_per_s = middle_per_s
        else:
            high_per_s = middle_per_s
    return low_per_s


def p99_s(rate_per_s: float, wait_s: float, max_batch: int, group_s: GroupTime, of_steps: int) -> float:
    """What 99% of the requests with so many steps stay below, at that rate."""
    steps = short_and_long(SIMULATED, seed=4)
    waited = latencies(poisson(rate_per_s, SIMULATED, seed=4), steps, wait_s, max_batch, group_s)
    return quantile([one for one, count in zip(waited, steps, strict=True) if count == of_steps], 0.99)

"""What a simulation gives: one row per request, the replicas' trajectories, and GPU time.

Becomes the same summary as a load test, so that the same report shows it.
"""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from loadtests.histogram import Histogram
from loadtests.summary import MAX_BINS, RunFacts, summarize
from loadtests.tally import Group, Tally

OK = "ok"

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Requests:
    """Columns of the same length, one entry per request in the order of their ends.

    `shot`, `route`, `model` and `outcome` are numbers into `names`. `budget_ms` is infinite without one.
    """

    names: Sequence[str]
    at_s: Floats
    latency_ms: Floats
    budget_ms: Floats
    shot: Ints
    route: Ints
    model: Ints
    outcome: Ints
    rung: Ints
    attempts: Ints
    ok: npt.NDArray[np.bool_]
    good: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.at_s)


@dataclass(slots=True)
class Rows:
    """Requests while they are being gathered."""

    names: list[str] = field(default_factory=lambda: [OK])
    at_s: list[float] = field(default_factory=list)
    latency_ms: list[float] = field(default_factory=list)
    budget_ms: list[float] = field(default_factory=list)
    shot: list[int] = field(default_factory=list)
    route: list[int] = field(default_factory=list)
    model: list[int] = field(default_factory=list)
    outcome: list[int] = field(default_factory=list)
    rung: list[int] = field(default_factory=list)
    attempts: list[int] = field(default_factory=list)
    _numbers: dict[str, int] = field(default_factory=lambda: {OK: 0})

    def number(self, name: str) -> int:
        known = self._numbers.get(name)
        if known is None:
            known = self._numbers[name] = len(self.names)
            self.names.append(name)
        return known

    def columns(self) -> Requests:
        latency_ms = np.array(self.latency_ms, dtype=np.float64)
        budget_ms = np.array(self.budget_ms, dtype=np.float64)
        outcome = np.array(self.outcome, dtype=np.int64)
        ok = np.asarray(outcome == self._numbers[OK])
        return Requests(
            names=tuple(self.names),
            at_s=np.array(self.at_s, dtype=np.float64),
            latency_ms=latency_ms,
            budget_ms=budget_ms,
            shot=np.array(self.shot, dtype=np.int64),
            route=np.array(self.route, dtype=np.int64),
            model=np.array(self.model, dtype=np.int64),
            outcome=outcome,
            rung=np.array(self.rung, dtype=np.int64),
            attempts=np.array(self.attempts, dtype=np.int64),
            ok=ok,
            # A nanosecond of grace: an image at its very deadline is in time.
            good=np.asarray(ok & (latency_ms <= budget_ms + 1e-6)),
        )


@dataclass(frozen=True, slots=True)
class Result:
    """`replicas` are (s, running replicas) by model; `scalings` how often its target went up and down."""

    requests: Requests
    duration_s: float
    replicas: Mapping[str, Sequence[tuple[float, int]]]
    gpu_s: Mapping[str, float]
    scalings: Mapping[str, tuple[int, int]]

    @property
    def total_gpu_s(self) -> float:
        return sum(self.gpu_s.values())

    @property
    def violation_ratio(self) -> float:
        """Share of requests without an image inside their budget."""
        return 1 - float(self.requests.good.mean()) if len(self.requests) else 0.0

    def quantile_ms(self, q: float) -> float | None:
        latencies = self.requests.latency_ms[self.requests.ok]
        return float(np.quantile(latencies, q)) if len(latencies) else None

    def replica_s(self, model: str) -> float:
        """Integral of running replicas over time."""
        points = [*self.replicas[model], (self.duration_s, 0)]
        return sum(count * (end_s - at_s) for (at_s, count), (end_s, _) in pairwise(points))

    def summary(self, name: str, seed: int) -> dict[str, Any]:
        """As `loadtests.summary.summarize` has it, with `replicas` and `gpu_s` besides."""
        facts = RunFacts("simulation", name, time.time(), self.duration_s, self.duration_s, seed)
        document = summarize(facts, self.tally())
        document["replicas"] = {
            # The last count holds to the end.
            model: [*map(list, line), [self.duration_s, line[-1][1]]]
            for model, line in self.replicas.items()
        }
        document["gpu_s"] = dict(self.gpu_s)
        return document

    def tally(self) -> Tally:
        requests = self.requests
        bin_s = max(1, int(np.ceil(self.duration_s / MAX_BINS)))
        seconds = (requests.at_s // bin_s * bin_s).astype(np.int64)
        return Tally(
            total=self._group(np.arange(len(requests))),
            by_shot={requests.names[key]: group for key, group in self._groups(requests.shot)},
            by_route={requests.names[key]: group for key, group in self._groups(requests.route)},
            by_second=dict(self._groups(seconds)),
        )

    def _groups(self, keys: Ints) -> list[tuple[int, Group]]:
        order = np.argsort(keys, kind="stable")
        found, starts = np.unique(keys[order], return_index=True)
        pieces = np.split(order, starts[1:]) if len(found) else []
        return [(int(key), self._group(piece)) for key, piece in zip(found, pieces, strict=True)]

    def _group(self, chosen: Ints) -> Group:
        requests = self.requests
        ok = requests.ok[chosen]
        latencies = requests.latency_ms[chosen]
        attempts = requests.attempts[chosen][ok]
        return Group(
            offered=len(chosen),
            good=int(requests.good[chosen].sum()),
            substituted=int((attempts > 1).sum()),
            attempts=int(attempts.sum()),
            outcomes=self._named(requests.outcome[chosen]),
            rungs=Counter(_counted(requests.rung[chosen][ok])),
            models=self._named(requests.model[chosen][ok]),
            latency=Histogram.of_array(latencies[ok]),
            refusals=Histogram.of_array(latencies[~ok]),
        )

    def _named(self, numbers: Ints) -> Counter[str]:
        return Counter({self.requests.names[number]: count for number, count in _counted(numbers).items()})


def _counted(numbers: Ints) -> dict[int, int]:
    found, counts = np.unique(numbers, return_counts=True)
    return dict(zip(found.tolist(), counts.tolist(), strict=True))

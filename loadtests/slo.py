"""Service level objectives: thresholds on what a run measured, so that a load test can gate a release.

    [ROUTE:]METRIC<=VALUE  or  [ROUTE:]METRIC>=VALUE       e.g.  p99_ms<=1200   badges:goodput_ratio>=0.99

Without a route the objective is about all arrivals.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from loadtests.tally import Group, Tally


class SloError(ValueError):
    """An objective that cannot be understood; the message shows it and what is allowed."""


RUN_METRICS: Mapping[str, Callable[[Tally], float]] = {
    "invalid_images": lambda counted: float(counted.images.invalid),
    "late_p99_ms": lambda counted: counted.lateness.quantile_ms(0.99) or 0.0,
}
"""Of a whole run, not of a route."""

METRICS: Mapping[str, Callable[[Group], float | None]] = {
    "p50_ms": lambda group: group.latency.quantile_ms(0.50),
    "p90_ms": lambda group: group.latency.quantile_ms(0.90),
    "p95_ms": lambda group: group.latency.quantile_ms(0.95),
    "p99_ms": lambda group: group.latency.quantile_ms(0.99),
    "p999_ms": lambda group: group.latency.quantile_ms(0.999),
    "max_ms": lambda group: group.latency.quantile_ms(1.0),
    "mean_ms": lambda group: group.latency.mean_ms,
    "goodput_ratio": lambda group: group.goodput_ratio,
    "error_ratio": lambda group: group.error_ratio,
    "substituted_ratio": lambda group: group.substituted / group.ok if group.ok else None,
    "dropped": lambda group: float(group.dropped),
    "cost_usd": lambda group: group.cost_usd,
}
"""Latencies are of answers with an image; ratios of all arrivals, save `substituted_ratio`: of answers."""

_OBJECTIVE = re.compile(r"(?:(?P<route>[^:<>=]+):)?\s*(?P<metric>\w+)\s*(?P<sense><=|>=)\s*(?P<bound>\S+)")


@dataclass(frozen=True, slots=True)
class Objective:
    metric: str
    at_most: bool
    bound: float
    route: str | None = None

    def __str__(self) -> str:
        scope = f"{self.route}:" if self.route else ""
        return f"{scope}{self.metric}{'<=' if self.at_most else '>='}{self.bound:g}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`measured` is None where there was nothing to measure: such an objective is not met."""

    objective: Objective
    measured: float | None

    @property
    def met(self) -> bool:
        if self.measured is None:
            return False
        if self.objective.at_most:
            return self.measured <= self.objective.bound
        return self.measured >= self.objective.bound


def parse_objective(text: str) -> Objective:
    match = _OBJECTIVE.fullmatch(text.strip())
    if match is None:
        raise SloError(f"{text!r} is not an objective; write [ROUTE:]METRIC<=VALUE, like p99_ms<=1200")
    if match["metric"] not in METRICS and (match["metric"] not in RUN_METRICS or match["route"]):
        known = ", ".join(METRICS if match["route"] else {**METRICS, **RUN_METRICS})
        raise SloError(f"{text!r}: unknown metric {match['metric']}; known are {known}")
    try:
        bound = float(match["bound"])
    except ValueError:
        raise SloError(f"{text!r}: {match['bound']} is not a number") from None
    return Objective(match["metric"], match["sense"] == "<=", bound, match["route"])


def judge(objectives: Sequence[Objective], counted: Tally) -> list[Verdict]:
    return [Verdict(objective, _measured(objective, counted)) for objective in objectives]


def _measured(objective: Objective, counted: Tally) -> float | None:
    if objective.metric in RUN_METRICS:
        return RUN_METRICS[objective.metric](counted)
    group = counted.total if objective.route is None else counted.by_route.get(objective.route)
    return METRICS[objective.metric](group) if group else None

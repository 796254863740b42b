"""What a run comes to: the JSON document that the terminal, the report and comparisons are made from."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from loadtests.slo import Verdict
from loadtests.tally import Group, Tally

FORMAT = 1
MAX_BINS = 100
QUANTILES = {"p50_ms": 0.50, "p90_ms": 0.90, "p95_ms": 0.95, "p99_ms": 0.99, "p999_ms": 0.999}


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What was done. `schedule_s` is the length of the schedule, `elapsed_s` until the last answer."""

    target: str
    name: str
    started_unix_s: float
    schedule_s: float
    elapsed_s: float
    seed: int
    processes: int = 1


def summarize(facts: RunFacts, counted: Tally, verdicts: Sequence[Verdict] = ()) -> dict[str, Any]:
    """Latencies in milliseconds; ratios 0..1, None where nothing was measured."""
    return {
        "format": FORMAT,
        "run": asdict(facts),
        "total": _group(counted.total, facts.schedule_s),
        "by_shot": _groups(counted.by_shot, facts.schedule_s),
        "by_route": _groups(counted.by_route, facts.schedule_s),
        "generator": {
            "late": counted.total.late,
            "dropped": counted.total.dropped,
            "late_p99_ms": counted.lateness.quantile_ms(0.99),
            "late_max_ms": counted.lateness.quantile_ms(1.0),
        },
        "images": {
            name: getattr(counted.images, name)
            for name in ("checked", "undecodable", "wrong_size", "unequal", "skipped")
        },
        "timeline": _timeline(counted, facts.schedule_s),
        "slowest": [asdict(slow) for slow in counted.slowest],
        "objectives": verdicts_json(verdicts),
    }


def verdicts_json(verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    return [
        {"objective": str(each.objective), "measured": each.measured, "met": each.met} for each in verdicts
    ]


def _timeline(counted: Tally, schedule_s: float) -> dict[str, Any]:
    """Groups of arrivals by when they were due, in bins of a whole number of seconds."""
    bin_s = max(1, math.ceil(schedule_s / MAX_BINS))
    bins: dict[int, Group] = {}
    for second, group in counted.by_second.items():
        bins.setdefault(second // bin_s, Group()).add(group)
    return {
        "bin_s": bin_s,
        "bins": [{"at_s": index * bin_s, **_moment(bins[index])} for index in sorted(bins)],
    }


def _groups(groups: Mapping[str, Group], schedule_s: float) -> dict[str, Any]:
    return {name: _group(group, schedule_s) for name, group in sorted(groups.items())}


def _group(group: Group, schedule_s: float) -> dict[str, Any]:
    return {
        "offered": group.offered,
        "offered_rps": _per_second(group.offered, schedule_s),
        "ok": group.ok,
        "good": group.good,
        "goodput_ratio": group.goodput_ratio,
        "goodput_rps": _per_second(group.good, schedule_s),
        "error_ratio": group.error_ratio,
        "late": group.late,
        "dropped": group.dropped,
        "substituted": group.substituted,
        "attempts": group.attempts,
        "gpu_s": group.gpu_s,
        "cost_usd": group.cost_usd,
        "outcomes": dict(group.outcomes.most_common()),
        "rungs": {str(rung): count for rung, count in sorted(group.rungs.items())},
        "models": dict(group.models.most_common()),
        "mean_ms": group.latency.mean_ms,
        "max_ms": group.latency.quantile_ms(1.0),
        **{name: group.latency.quantile_ms(q) for name, q in QUANTILES.items()},
        "latency": group.latency.to_json(),
        "refusals": group.refusals.to_json(),
    }


def _moment(group: Group) -> dict[str, Any]:
    return {
        "offered": group.offered,
        "good": group.good,
        "outcomes": dict(group.outcomes),
        "p50_ms": group.latency.quantile_ms(0.50),
        "p95_ms": group.latency.quantile_ms(0.95),
        "max_ms": group.latency.quantile_ms(1.0),
    }


def _per_second(count: int, seconds: float) -> float | None:
    return count / seconds if seconds > 0 else None

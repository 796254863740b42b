"""What changed between two runs, and whether it is more than chance would do."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

_TOLERANCE_RATIO = 0.05
_Z95 = 1.96

Verdict = Literal["better", "worse", "same"]


@dataclass(frozen=True, slots=True)
class Change:
    """`verdict` is `same` when the difference is inside what two equal runs would show."""

    name: str
    before: float | None
    after: float | None
    verdict: Verdict
    text: str


def compare(baseline: Mapping[str, Any], summary: Mapping[str, Any]) -> list[Change]:
    """Latency quantiles count as changed from 5% on; ratios when they are further apart than 95% of pairs of
    samples from the same distribution would be."""
    before, after = baseline["total"], summary["total"]
    latencies = [
        _latency(name, before[name], after[name]) for name in ("p50_ms", "p95_ms", "p99_ms", "max_ms")
    ]
    ratios = [
        _ratio("goodput_ratio", before, after, more_is_better=True),
        _ratio("error_ratio", before, after, more_is_better=False),
    ]
    return [*latencies, *ratios, _cost(before, after)]


def _latency(name: str, before: float | None, after: float | None) -> Change:
    if not before or after is None:
        return Change(name, before, after, "same", "–")
    change = after / before - 1
    return Change(name, before, after, _verdict(change, -change, _TOLERANCE_RATIO), f"{change:+.1%}")


def _cost(before: Mapping[str, Any], after: Mapping[str, Any]) -> Change:
    each = [run["cost_usd"] / run["ok"] if run["ok"] else None for run in (before, after)]
    return _latency("cost_usd per image", each[0], each[1])


def _ratio(name: str, before: Mapping[str, Any], after: Mapping[str, Any], *, more_is_better: bool) -> Change:
    first, second = before[name], after[name]
    if first is None or second is None:
        return Change(name, first, second, "same", "–")
    difference = second - first
    noise = _Z95 * math.sqrt(_variance(first, before["offered"]) + _variance(second, after["offered"]))
    gain = difference if more_is_better else -difference
    return Change(name, first, second, _verdict(difference, gain, noise), f"{100 * difference:+.2f} points")


def _variance(ratio: float, count: int) -> float:
    """Of a proportion; Agresti and Coull's adjustment keeps it above 0 when nothing or everything failed."""
    adjusted = (ratio * count + 2) / (count + 4)
    return adjusted * (1 - adjusted) / (count + 4)


def _verdict(change: float, gain: float, tolerance: float) -> Verdict:
    if abs(change) <= tolerance:
        return "same"
    return "better" if gain > 0 else "worse"

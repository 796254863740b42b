"""Reads an audit's summary as contenders for an asset type, and the sentences that stand as evidence."""

from collections.abc import Mapping
from typing import Any

from audits.recommend.choosing import Beats, Choice, Contender, choose

Document = Mapping[str, Any]
HEAD_ROOM_RATIO = 1.25
MOST_SUBSTITUTED_RATIO = 0.05
"""A variant that others answered for more often than this was not measured."""


def choice_of(
    asset: Document, present: str | None = None, head_room_ratio: float = HEAD_ROOM_RATIO
) -> Choice:
    """For one asset type of a summary; `present` is the variant that the policy promises now."""
    return choose(contenders(asset), beats(asset), present, head_room_ratio)


def contenders(asset: Document) -> list[Contender]:
    return [_contender(each, asset) for each in asset["variants"]]


def beats(asset: Document) -> Beats:
    shown = {
        (each["better"], each["other"] if each["better"] == each["one"] else each["one"])
        for each in asset["comparisons"]
        if each["better"] is not None
    }
    return lambda one, other: (one, other) in shown


def evidence_lines(asset: Document, choice: Choice) -> tuple[str, ...]:
    """Why, what each variant measured, and why some may not answer."""
    left_out = dict(choice.left_out)
    measured = [_measured(each, left_out.get(each["name"])) for each in asset["variants"]]
    return (f"{choice.because}.", *measured)


def _contender(variant: Document, asset: Document) -> Contender:
    latency = variant["latency"]
    missed = [
        _missed(name, found, _required(asset, name))
        for name, found in variant["criteria"].items()
        if not found["met"]
    ]
    if latency["p95_ms"] is None or not variant["models"]:
        return Contender(variant["name"], (), None, ("it never answered",), variant["cost_usd"], 0, 0)
    if variant["substituted"] > MOST_SUBSTITUTED_RATIO * variant["samples"]:
        missed.append(f"{variant['substituted']} of {variant['samples']} answered by a substitute")
    return Contender(
        variant["name"],
        tuple(variant["models"]),
        variant["steps"],
        tuple(missed),
        variant["cost_usd"],
        latency["p95_ms"],
        latency["p95_interval_ms"]["high"],
    )


def _required(asset: Document, name: str) -> float:
    return float(next(each["required_ratio"] for each in asset["criteria"] if each["name"] == name))


def _missed(name: str, found: Document, required_ratio: float) -> str:
    return f"{name} {found['passed']} of {found['count']}, needs {required_ratio:.0%}"


def _measured(variant: Document, left_out: str | None) -> str:
    fixes = variant["fixes"][variant["fixes"]["used"]]
    interval, latency = fixes["interval"], variant["latency"]
    p95 = "no answer" if latency["p95_ms"] is None else f"p95 {latency['p95_ms']:.0f} ms"
    known = f"{interval['low']:.0%} to {interval['high']:.0%}, {variant['fixes']['used']}"
    rate = f"{fixes['ratio']:.0%} need a fix ({known})"
    refused = "" if left_out is None else f"; may not answer, {left_out}"
    return f"{variant['name']}: {rate}, {p95}, {variant['cost_usd']:.2f} USD an accepted asset{refused}"

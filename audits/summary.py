"""What an audit found, as one JSON document: the report's numbers, which the page draws and the policy cites.

Puts together what was measured, what people said and what it costs. Draws nothing.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import combinations
from typing import Any

import numpy as np

from audits.costs import AssetCost, break_even_usd_per_hour
from audits.evidence import Criterion, Evidence, Sample
from audits.fixes import Agreement, Picture, Word, agreement, calibrated, measured, predicted
from audits.statistics import compare, holm, rate
from routing.feedback import Interval

FORMAT = "atelier-audit-report/1"
ENOUGH_JUDGED = 10
"""From so many judged pictures of a variant on, its own measured fix rate counts rather than a calibrated
one."""
ALPHA = 0.05
_RESAMPLES = 2000

Words = Mapping[str, Sequence[Word]]
"""What people said, by sample."""
Document = dict[str, Any]


def summarize(evidence: Evidence, words: Words) -> Document:
    known = agreement(_picture(each, words) for each in evidence.samples)
    return {
        "format": FORMAT,
        "audit": {
            "name": evidence.name,
            "target": evidence.target,
            "started_unix_s": evidence.started_unix_s,
            "samples": len(evidence.samples),
            "judged": known.count,
            "rates": asdict(evidence.rates),
            "versions": dict(evidence.versions),
        },
        "assets": [_asset(evidence, asset, words, known) for asset in evidence.criteria],
        "agreement": {**asdict(known), "ratio": known.ratio},
        "samples": [_sample(each, words) for each in evidence.samples],
    }


def _asset(evidence: Evidence, asset: str, words: Words, known: Agreement) -> Document:
    criteria = evidence.criteria[asset]
    costs: dict[str, AssetCost] = {}
    variants = []
    for name in evidence.variants(asset):
        samples = evidence.of(asset, name)
        fixes = _fixes([_picture(each, words) for each in samples], known)
        costs[name] = _cost(samples, fixes, evidence)
        variants.append(_variant(name, samples, criteria, fixes, costs[name], evidence))
    return {
        "name": asset,
        "criteria": [asdict(each) for each in criteria],
        "variants": variants,
        "comparisons": _comparisons(evidence, asset, costs, words),
    }


def _variant(
    name: str,
    samples: Sequence[Sample],
    criteria: Sequence[Criterion],
    fixes: Document,
    cost: AssetCost,
    evidence: Evidence,
) -> Document:
    latencies = [each.latency_ms for each in samples if each.latency_ms is not None]
    staff = evidence.rates.staff_usd_per_hour
    answered = [each for each in samples if each.models]
    return {
        "name": name,
        "models": list(statistics.mode(each.models for each in answered)) if answered else [],
        "steps": statistics.mode(each.steps for each in answered) if answered else None,
        "samples": len(samples),
        "failed": sum(each.picture is None for each in samples),
        "substituted": sum(each.substituted for each in samples),
        "criteria": {each.name: _criterion(each, samples) for each in criteria},
        "latency": _latency(latencies),
        "gpu_s": statistics.fmean(each.gpu_s for each in samples),
        "image_usd": cost.image_usd,
        "fixes": fixes,
        "cost_usd": cost.usd(staff),
        "cost_interval_usd": asdict(cost.interval_usd(staff)),
        "fix_minutes": cost.fix_minutes,
    }


def _criterion(criterion: Criterion, samples: Sequence[Sample]) -> Document:
    """A picture that did not come passes nothing. The interval takes pictures of one prompt for alike."""
    by_prompt: dict[str, list[float]] = {}
    for sample in samples:
        passes = any(each.criterion == criterion.name and each.passed for each in sample.readings)
        by_prompt.setdefault(sample.prompt, []).append(float(passes))
    passed = int(sum(map(sum, by_prompt.values())))
    ratio = passed / len(samples)
    return {
        "passed": passed,
        "count": len(samples),
        "ratio": ratio,
        "interval": asdict(rate(by_prompt).interval or Interval(0.0, 1.0)),
        "met": ratio >= criterion.required_ratio,
    }


def _latency(values_ms: Sequence[float]) -> Document:
    if not values_ms:
        return {"p50_ms": None, "p95_ms": None, "p95_interval_ms": None}
    values = np.asarray(values_ms)
    chance = np.random.default_rng(0)
    resampled = np.quantile(chance.choice(values, (_RESAMPLES, len(values))), 0.95, axis=1)
    low, high = np.quantile(resampled, (0.025, 0.975))
    return {
        "p50_ms": float(np.quantile(values, 0.5)),
        "p95_ms": float(np.quantile(values, 0.95)),
        "p95_interval_ms": {"low": float(low), "high": float(high)},
    }


def _fixes(pictures: Sequence[Picture], known: Agreement) -> Document:
    """The rate that counts is the measured one where enough was judged, else the calibrated one where
    anything was, else the predicted one."""
    rates = {"predicted": predicted(pictures), "measured": measured(pictures)}
    if known.count:
        rates["calibrated"] = calibrated(pictures, known)
    used = "predicted"
    if rates["measured"].count >= min(ENOUGH_JUDGED, len(pictures)):
        used = "measured"
    elif known.count >= ENOUGH_JUDGED:
        used = "calibrated"
    return {"used": used, **{name: asdict(rate) for name, rate in rates.items()}}


def _cost(samples: Sequence[Sample], fixes: Document, evidence: Evidence) -> AssetCost:
    rates = evidence.rates
    image_usd = statistics.fmean(
        each.cost_usd or each.gpu_s * rates.gpu_usd_per_hour / 3600 for each in samples
    )
    used = fixes[fixes["used"]]
    minutes = rates.fix_minutes if used["minutes"] is None else used["minutes"]
    return AssetCost(image_usd, used["ratio"], Interval(**used["interval"]), minutes)


def _comparisons(
    evidence: Evidence, asset: str, costs: Mapping[str, AssetCost], words: Words
) -> list[Document]:
    """Each pair of variants on the questions that both answered, by the share of pictures that need a fix.
    One is better where the test over prompts still says so after Holm's correction for the number of
    pairs."""
    needs = {
        name: {each.question: (each.prompt, _fix(_picture(each, words))) for each in evidence.of(asset, name)}
        for name in evidence.variants(asset)
    }
    pairs = [pair for pair in combinations(needs, 2) if needs[pair[0]].keys() & needs[pair[1]].keys()]
    found = [compare(*_common(needs[one], needs[other]), (one, other)) for one, other in pairs]
    corrected = holm([each.p_value for each in found])
    return [
        {
            "one": each.one,
            "other": each.other,
            "prompts": each.prompts,
            "difference": each.difference,
            "interval": asdict(_of_shares(each.interval)),
            "p_value": chance,
            "better": (each.other if each.difference > 0 else each.one) if chance <= ALPHA else None,
            "break_even_usd_per_hour": break_even_usd_per_hour(costs[each.one], costs[each.other]),
        }
        for each, chance in zip(found, corrected, strict=True)
    ]


def _of_shares(interval: Interval | None) -> Interval:
    """No two shares are further apart than 1, however little a few prompts say."""
    if interval is None:
        return Interval(-1.0, 1.0)
    return Interval(max(-1.0, interval.low), min(1.0, interval.high))


Needs = Mapping[str, tuple[str, bool]]


def _common(one: Needs, other: Needs) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """By prompt, in the same order of questions on both sides."""
    sides: tuple[dict[str, list[float]], dict[str, list[float]]] = ({}, {})
    for question in one:
        if question in other:
            for side, needs in zip(sides, (one, other), strict=True):
                prompt, fix = needs[question]
                side.setdefault(prompt, []).append(float(fix))
    return sides


def _fix(picture: Picture) -> bool:
    return picture.needs_fix if picture.words else picture.predicted_fix


def _picture(sample: Sample, words: Words) -> Picture:
    return Picture(sample.needs_fix, tuple(words.get(sample.id, ())))


def _sample(sample: Sample, words: Words) -> Document:
    return {
        "id": sample.id,
        "asset": sample.asset,
        "variant": sample.variant,
        "question": sample.question,
        "prompt": sample.prompt,
        "seed": sample.seed,
        "readings": [asdict(each) for each in sample.readings],
        "needs_fix_predicted": sample.needs_fix,
        "words": [asdict(each) for each in words.get(sample.id, ())],
        "latency_ms": sample.latency_ms,
        "gpu_s": sample.gpu_s,
        "cost_usd": sample.cost_usd,
        "substituted": sample.substituted,
        "error": sample.error,
        "receipt": sample.receipt,
    }

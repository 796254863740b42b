"""The audit that was accepted: what each picture scored then, small enough for a ConfigMap, and compared
with now."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from audits.evidence import Evidence
from audits.watch.metrics import Verdict
from audits.watch.regression import LATENCY, Comparison, Scores, compare

FORMAT: Literal["atelier-audit-accepted/1"] = "atelier-audit-accepted/1"
ANSWERED = "answered"
"""Whether a picture came at all; every audit is held to it."""


class NotAccepted(ValueError):
    """A file that is no accepted audit, or one of another audit."""


class Row(BaseModel):
    """One criterion of one variant: its score by picture, 1 for a pass and 0 for a miss, or milliseconds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    asset: str
    variant: str
    criterion: str
    scores: dict[str, Annotated[float, Field(allow_inf_nan=False)]]


class Accepted(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["atelier-audit-accepted/1"] = FORMAT
    audit: str
    started_unix_s: float
    versions: dict[str, str]
    rows: tuple[Row, ...]


def accept(evidence: Evidence) -> Accepted:
    rows = tuple(
        Row(asset=asset, variant=variant, criterion=criterion, scores=dict(values))
        for (asset, variant, criterion), values in scores_of(evidence).items()
    )
    return Accepted(
        audit=evidence.name,
        started_unix_s=evidence.started_unix_s,
        versions=dict(evidence.versions),
        rows=rows,
    )


def read_accepted(path: Path) -> Accepted:
    """Raises NotAccepted."""
    try:
        return Accepted.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise NotAccepted(f"{path}: {where}: {first['msg']}") from None


def against(accepted: Accepted, evidence: Evidence, alpha: float = 0.05) -> Comparison:
    """Raises NotAccepted for the audit of another name."""
    if accepted.audit != evidence.name:
        raise NotAccepted(f"the accepted audit is {accepted.audit!r}, this one is {evidence.name!r}")
    before: Scores = {(row.asset, row.variant, row.criterion): row.scores for row in accepted.rows}
    return compare(before, scores_of(evidence), alpha)


def verdicts(comparison: Comparison) -> list[Verdict]:
    """What was not measured again counts as worse: nobody can say that it is not."""
    known = [Verdict(each.asset, each.variant, each.criterion, each.regressed) for each in comparison.changes]
    return known + [Verdict(*key, True) for key in comparison.missing]


def scores_of(evidence: Evidence) -> dict[tuple[str, str, str], dict[str, float]]:
    scores: dict[tuple[str, str, str], dict[str, float]] = {}
    for sample in evidence.samples:
        came = sample.picture is not None
        own: Mapping[str, float] = {
            ANSWERED: float(came),
            **{each.name: 0.0 for each in evidence.criteria[sample.asset]},
            **{each.criterion: float(each.passed) for each in sample.readings},
        }
        for criterion, score in own.items():
            scores.setdefault((sample.asset, sample.variant, criterion), {})[sample.question] = score
        if came and sample.latency_ms is not None:
            times = scores.setdefault((sample.asset, sample.variant, LATENCY), {})
            times[sample.question] = sample.latency_ms
    return scores

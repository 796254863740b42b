"""What an audit asks, in an order that depends on its file alone, and the body of each request.

Repeats are far apart and candidates take turns, so that a slow minute of the machine is nobody's own.
Knows OpenAI's Images request and the `atelier` object in it, and nothing of HTTP.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from audits.run.spec import AuditSpec

ALONE = -1
"""The repeat that is made while nothing else is."""
CANDIDATE_LABEL = "audit-candidate"
"""Names the candidate to a policy: one that was made for the audit routes by it."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One answer of the audit. `repeat` counts from 0, or is ALONE."""

    asset: str
    prompt: str
    candidate: str
    seed: int
    repeat: int

    @property
    def id(self) -> str:
        repeat = "alone" if self.repeat == ALONE else str(self.repeat)
        return f"{self.question}/{self.candidate}/{repeat}"

    @property
    def question(self) -> str:
        """Equal for what every candidate is asked in the same way."""
        return f"{self.asset}/{self.prompt}/{self.seed}"

    @property
    def alone(self) -> bool:
        return self.repeat == ALONE


def cells(spec: AuditSpec) -> Iterator[Cell]:
    """First those that are asked side by side, then those that are asked alone."""
    repeats = [*range(spec.repeats), *([ALONE] if spec.alone else [])]
    for repeat in repeats:
        for seed in spec.seeds:
            for asset, asset_spec in spec.assets.items():
                for prompt in asset_spec.prompts:
                    for candidate in spec.candidates_of(asset):
                        yield Cell(asset, prompt.id, candidate, seed, repeat)


def digest(spec: AuditSpec) -> str:
    """Equal for audits that ask the same. How the answers are judged, and how many are asked for at once, is
    no part of it: a threshold may change and nothing is asked again."""
    found = hashlib.sha256()
    for cell in cells(spec):
        found.update(json.dumps([cell.id, body_of(cell, spec)], sort_keys=True).encode())
    return found.hexdigest()


def body_of(cell: Cell, spec: AuditSpec) -> dict[str, Any]:
    """The JSON body of POST /v1/images/generations."""
    asset, candidate = spec.assets[cell.asset], spec.candidates[cell.candidate]
    prompt = next(each for each in asset.prompts if each.id == cell.prompt)
    options = {
        "asset": candidate.route_asset or asset.asset or cell.asset,
        "seed": cell.seed,
        "steps": candidate.steps,
        "max_latency_ms": spec.budget_ms,
        "labels": {CANDIDATE_LABEL: cell.candidate},
        "layout": prompt.layout,
        **candidate.options,
    }
    body = {
        "prompt": prompt.prompt,
        "model": candidate.model or "auto",
        "size": asset.size,
        "quality": candidate.quality,
        "output_format": asset.output_format,
        "background": "transparent" if asset.transparent else None,
        "response_format": "b64_json",
        "atelier": _without_none(options),
    }
    return _without_none(body)


def _without_none(document: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if value is not None}

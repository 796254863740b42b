"""What changes between two policies: in what is written, and in what is decided for given requests."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import ValidationError

from routing.cases import RequestSpec
from routing.decide import PolicyEngine
from routing.policy import Policy
from routing.schema import RouteSpec
from routing.types import AssetRequest, RoutingError, Snapshot


@dataclass(frozen=True, slots=True)
class FieldChange:
    """`before` and `after` are JSON, None where the field was or is not given."""

    path: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class PolicyDiff:
    """Routes are the same when they have the same name, or, unnamed, the same pattern and match."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[FieldChange, ...]
    reordered: bool

    @property
    def empty(self) -> bool:
        return not (self.added or self.removed or self.changed or self.reordered)


@dataclass(frozen=True, slots=True)
class DecisionChange:
    request: AssetRequest
    before: str
    after: str


class BadLog(ValueError):
    """A line of a request log that is no request."""


def diff_policies(before: Policy, after: Policy) -> PolicyDiff:
    old, new = _by_identity(before), _by_identity(after)
    common = [key for key in old if key in new]
    changed = [change for key in common for change in _field_changes(key, old[key], new[key])]
    for section in ("aliases", "tenants", "default", "includes"):
        changed += _section_changes(section, before, after)
    return PolicyDiff(
        added=tuple(key for key in new if key not in old),
        removed=tuple(key for key in old if key not in new),
        changed=tuple(changed),
        reordered=common != [key for key in new if key in old],
    )


def decision_changes(
    before: PolicyEngine, after: PolicyEngine, requests: Iterable[AssetRequest], snapshot: Snapshot
) -> tuple[DecisionChange, ...]:
    """The requests that two policies decide differently, under the same load."""
    changes = []
    for request in requests:
        old, new = decided(before, request, snapshot), decided(after, request, snapshot)
        if old != new:
            changes.append(DecisionChange(request, old, new))
    return tuple(changes)


def decided(engine: PolicyEngine, request: AssetRequest, snapshot: Snapshot) -> str:
    """A decision in one line, without what differs between equal policies (version, predicted times)."""
    try:
        decision = engine.decide(request, snapshot, 0.0)
    except RoutingError as error:
        return f"refused: {error}"
    plans = [
        " then ".join(
            stage.model if stage.steps is None else f"{stage.model}@{stage.steps}" for stage in plan.stages
        )
        for plan in decision.chain
    ]
    if decision.raster is not None:
        plans.append(f"raster {decision.raster}")
    budget = "no budget" if decision.budget_ms is None else f"{decision.budget_ms:.0f} ms"
    answer = ", else ".join(plans) if plans else f"refused: {decision.refusal}"
    arm = "" if decision.arm is None else f", arm {decision.arm}"
    return f"{decision.route}: {answer} ({budget}{arm})"


def read_request_log(lines: Iterable[str], source: str) -> list[AssetRequest]:
    """One JSON object a line: the fields of RequestSpec. Empty lines are skipped. Raises BadLog."""
    requests = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            requests.append(RequestSpec.model_validate_json(line).to_request())
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"]) or "(line)"
            raise BadLog(f"{source}:{number}: {where}: {first['msg']}") from None
    return requests


def _by_identity(policy: Policy) -> dict[str, RouteSpec]:
    found: dict[str, RouteSpec] = {}
    for spec in policy.spec.model_routing:
        if spec.name is not None:
            key = spec.name
        else:
            match = (
                "" if spec.match is None else _json(spec.match.model_dump(exclude_unset=True, mode="json"))
            )
            key = " ".join(part for part in (spec.pattern, match) if part)
        while key in found:
            key += " (again)"
        found[key] = spec
    return found


def _field_changes(key: str, old: RouteSpec, new: RouteSpec) -> list[FieldChange]:
    before, after = (each.model_dump(exclude_unset=True, mode="json") for each in (old, new))
    return [
        FieldChange(f"{key}: {name}", _json(before.get(name)), _json(after.get(name)))
        for name in dict.fromkeys((*before, *after))
        if before.get(name) != after.get(name)
    ]


def _section_changes(section: str, before: Policy, after: Policy) -> list[FieldChange]:
    old, new = (
        policy.spec.model_dump(include={section}, exclude_unset=True, mode="json").get(section)
        for policy in (before, after)
    )
    return [] if old == new else [FieldChange(section, _json(old), _json(new))]


def _json(value: object) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False)

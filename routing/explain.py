"""Why a request goes where it goes: every route's fate, then the decision."""

from dataclasses import dataclass
from enum import StrEnum

from routing.decide import PolicyEngine
from routing.document import Place
from routing.types import AssetRequest, Decision, RoutingError, Snapshot


class Fate(StrEnum):
    TAKEN = "taken"
    LATE = "late"
    """It matches, but an earlier route took the request."""
    NO_MATCH = "no_match"
    NOT_ASKED = "not_asked"
    """The caller named a model or an alias, so routes were not asked, or another one was chosen."""


@dataclass(frozen=True, slots=True)
class RouteFate:
    route: str
    place: Place | None
    fate: Fate
    why: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """`decision` is None where `error` says why there is none."""

    fates: tuple[RouteFate, ...]
    decision: Decision | None
    error: str | None


def explain(engine: PolicyEngine, request: AssetRequest, snapshot: Snapshot, now_s: float) -> Explanation:
    decision, error = None, None
    try:
        decision = engine.decide(request, snapshot, now_s)
    except RoutingError as refused:
        error = str(refused)
    return Explanation(_fates(engine, request, decision), decision, error)


def _fates(engine: PolicyEngine, request: AssetRequest, decision: Decision | None) -> tuple[RouteFate, ...]:
    policy = engine.policy
    in_asset, in_prompt = engine.matcher.scan(request)
    taken = None if decision is None else decision.route
    fates = []
    already_taken = False
    for route, place, conditions in zip(
        policy.routes, policy.written_at, engine.matcher.conditions, strict=True
    ):
        unmet = conditions.unmet(request, in_asset, in_prompt)
        if route.name == taken:
            why = "takes the request" if unmet is None else "is what the alias or the model's name leads to"
            fates.append(RouteFate(route.name, place, Fate.TAKEN, why))
            already_taken = True
        elif unmet is not None:
            fates.append(RouteFate(route.name, place, Fate.NO_MATCH, unmet))
        elif already_taken:
            fates.append(RouteFate(route.name, place, Fate.LATE, "matches, but an earlier route took it"))
        else:
            fates.append(
                RouteFate(route.name, place, Fate.NOT_ASKED, "matches, but the caller named a model")
            )
    if policy.default is not None:
        name = policy.default.name
        chosen = name == taken
        why = "takes what no route matches" if chosen else "is not needed"
        fates.append(RouteFate(name, None, Fate.TAKEN if chosen else Fate.NOT_ASKED, why))
    return tuple(fates)

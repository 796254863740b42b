"""A policy as it should be after an audit: its text, the difference to the present one, and cases that
hold it to it.

Each asset type goes where the present policy sends it: that route changes in place when no other audited
asset type takes it, otherwise the asset type gets a route of its own before it. Everything else in the
file stays. Knows what was chosen, and not how it was measured.
"""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Any

import yaml

from audits.recommend.changes import CannotEdit, NewRoute, RouteChange
from audits.recommend.choosing import Choice, Contender
from audits.recommend.editing import edit_policy
from routing.cases import CaseFile, load_cases, run_cases
from routing.decide import PolicyEngine
from routing.files import ReadInclude
from routing.policy import Policy, load_policy
from routing.routes import Route
from routing.types import AssetRequest, ModelFacts, NoRoute


class CannotRecommend(ValueError):
    """The policy that would come of it does not do what the audit found."""


@dataclass(frozen=True, slots=True)
class AssetChoice:
    """What was chosen for an asset type. `evidence` stands above its route, a line each."""

    asset: str
    prompts: tuple[str, ...]
    choice: Choice
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Recommendation:
    """`diff` is a unified diff, empty when nothing changes. `cases` is a file for `atelier policy test`."""

    text: str
    diff: str
    cases: str


def present_models(
    policy: Policy, models: Mapping[str, ModelFacts], asset: str, prompt: str
) -> Contender | None:
    """What the policy promises such a request now: the first candidate's models and steps, no
    measurements. None where no route takes it."""
    route = _route_of(PolicyEngine(policy, models), asset, prompt)
    if route is None or not route.candidates:
        return None
    first = route.candidates[0]
    return Contender("", first.models, first.stages[0].steps, (), 0, 0, 0)


def recommend(
    text: str,
    source: str,
    models: Mapping[str, ModelFacts],
    assets: Sequence[AssetChoice],
    read: ReadInclude | None = None,
) -> Recommendation:
    """Raises PolicyError for a present policy that does not load, CannotEdit for one that cannot be
    changed line by line, and CannotRecommend when the new one fails its own cases."""
    policy = load_policy(text, source=source, models=models, read=read)
    engine = PolicyEngine(policy, models)
    assets = [replace(each, choice=_without_defaults(each.choice, models)) for each in assets]
    own_routes = len(yaml.safe_load(text).get("model_routing") or ())
    taken = {each.asset: _route_of(engine, each.asset, each.prompts[0]) for each in assets}
    changes: list[RouteChange] = []
    additions: list[NewRoute] = []
    for each in assets:
        route = taken[each.asset]
        place = _place(policy, route)
        shared = route is not None and sum(other is route for other in taken.values()) > 1
        if route is not None and not shared and place is not None and place < own_routes:
            remarks = (*each.evidence, *_removed(each.choice, route))
            changes.append(RouteChange(place, _values(each.choice, route), remarks))
        elif each.choice.promise is not None:
            values = {
                "name": _free_name(each.asset, policy),
                "match": {"asset": f"^{_quoted(each.asset)}$"},
            }
            before = place if place is not None and place < own_routes else None
            additions.append(NewRoute(before, {**values, **_values(each.choice, None)}, each.evidence))
    edited = edit_policy(text, changes, additions)
    after = load_policy(edited, source=source, models=models, read=read)
    cases = _cases(after, models, assets)
    _check(after, models, cases, source)
    return Recommendation(edited, _diff(text, edited, source), cases)


def _route_of(engine: PolicyEngine, asset: str, prompt: str) -> Route | None:
    try:
        return engine.target(AssetRequest(prompt=prompt, asset=asset)).route
    except NoRoute:
        return None


def _place(policy: Policy, route: Route | None) -> int | None:
    """Its index; None for the default route, which takes other requests too and so is never changed for
    one."""
    return next((index for index, each in enumerate(policy.routes) if each is route), None)


def _free_name(asset: str, policy: Policy) -> str:
    names = {route.name for route in policy.all_routes}
    return (
        asset
        if asset not in names
        else next(name for number in range(2, len(names) + 3) if (name := f"{asset}-{number}") not in names)
    )


def _quoted(asset: str) -> str:
    """As a pattern that means these characters. `re.escape` would put backslashes before dashes too."""
    return re.sub(r"([\\^$.|?*+()\[\]{}])", r"\\\1", asset)


_ANSWERS = ("model", "stages", "any_of", "quality", "steps")


def _values(choice: Choice, route: Route | None) -> dict[str, Any]:
    """The keys of a route that the choice decides, None for those to be removed. Nothing chosen changes
    nothing."""
    promise = choice.promise
    if promise is None:
        return {}
    values: dict[str, Any] = {}
    if route is None or choice.rungs or not _promises(route, promise):
        values = dict.fromkeys(_ANSWERS) | _answer(promise, choice.rungs)
    values["fallback"] = [_candidate(each) for each in choice.fallbacks] or None
    values["max_latency_ms"] = _number(choice.budget_ms)
    return (
        values if route is None else {key: each for key, each in values.items() if _differs(route, key, each)}
    )


def _without_defaults(choice: Choice, models: Mapping[str, ModelFacts]) -> Choice:
    """Steps that a model takes anyway are left to it; those of a ladder tell its rungs apart."""
    if choice.promise is None or choice.rungs:
        return choice

    def plain(each: Contender) -> Contender:
        facts = models.get(each.models[0])
        return each if facts is None or each.steps != facts.default_steps else replace(each, steps=None)

    return replace(
        choice, promise=plain(choice.promise), fallbacks=tuple(plain(each) for each in choice.fallbacks)
    )


def _removed(choice: Choice, route: Route) -> list[str]:
    """What stood by until now and is not known to pass, whether it failed or nobody asked."""
    if choice.promise is None:
        return []
    kept = {each.models for each in (choice.promise, *choice.rungs, *choice.fallbacks)}
    gone = [each.models for each in route.candidates if not each.in_ladder and each.models not in kept]
    return [
        f"no fallback any more: {' → '.join(models)}, which did not pass" for models in dict.fromkeys(gone)
    ]


def _differs(route: Route, key: str, value: Any) -> bool:
    return value is not None or key in route.spec.model_fields_set


def _promises(route: Route, promise: Contender) -> bool:
    """Whether the route promises this already, and nothing lower on a ladder."""
    first = route.candidates[0]
    single = len([each for each in route.candidates if each.in_ladder]) == 1
    return single and first.models == promise.models and promise.steps in (None, first.stages[0].steps)


def _answer(promise: Contender, rungs: Sequence[Contender]) -> dict[str, Any]:
    if rungs:
        return {"quality": [_candidate(each, named=True) for each in (promise, *rungs)]}
    if len(promise.models) > 1:
        return {"stages": _stages(promise)}
    return {"model": promise.models[0], "steps": promise.steps}


def _candidate(each: Contender, *, named: bool = False) -> Any:
    if len(each.models) == 1 and each.steps is None and not named:
        return each.models[0]
    value: dict[str, Any] = {"name": each.variant} if named else {}
    if len(each.models) > 1:
        return value | {"stages": _stages(each)}
    return value | {"model": each.models[0]} | ({} if each.steps is None else {"steps": each.steps})


def _stages(each: Contender) -> list[Any]:
    first, *rest = each.models
    return [first if each.steps is None else {"model": first, "steps": each.steps}, *rest]


def _number(value: float | None) -> float | int | None:
    return int(value) if value is not None and value.is_integer() else value


def _cases(policy: Policy, models: Mapping[str, ModelFacts], assets: Sequence[AssetChoice]) -> str:
    """That each asset type goes where the audit says, that its chain holds nothing else, and what stands
    in."""
    cases: list[dict[str, Any]] = []
    engine = PolicyEngine(policy, models)
    for each in assets:
        promise = each.choice.promise
        route = _route_of(engine, each.asset, each.prompts[0])
        if promise is None or route is None:
            continue
        request = {"asset": each.asset, "prompt": each.prompts[0]}
        normalize = () if route.spec.normalize is None else (route.spec.normalize.model,)
        chain = [_whole(one, normalize) for one in (promise, *each.choice.rungs, *each.choice.fallbacks)]
        expect = {
            "route": route.name,
            "models": chain[0],
            "chain": chain,
            "budget_ms": route.spec.max_latency_ms,
        }
        cases.append({"name": f"{each.asset}: {promise.variant}", "request": request, "expect": expect})
        gone = promise.models[0]
        left = [one for one in chain if gone not in one]
        refused = (
            {"raster": route.spec.raster_fallback.asset}
            if route.spec.raster_fallback
            else {"refusal": "refused_capacity"}
        )
        cases.append(
            {
                "name": f"{each.asset}: without {gone}",
                "request": request,
                "load": {gone: {"available": False}},
                "expect": {"route": route.name, "chain": left, **({} if left else refused)},
            }
        )
    if not cases:
        return ""
    head = "# What the audit found each asset type to need. Run: atelier policy test CASES --policy POLICY\n"
    return head + yaml.safe_dump({"cases": cases}, sort_keys=False, allow_unicode=True, width=110)


def _whole(each: Contender, normalize: tuple[str, ...]) -> list[str]:
    return list(each.models if each.models[-1:] == normalize else each.models + normalize)


def _check(policy: Policy, models: Mapping[str, ModelFacts], text: str, source: str) -> None:
    if not text:
        return
    cases: CaseFile = load_cases(text, "cases of the recommendation")
    failed = [each for each in run_cases(PolicyEngine(policy, models), cases) if not each.passed]
    if failed:
        listed = "; ".join(f"{each.case.name}: {', '.join(each.mismatches)}" for each in failed)
        raise CannotRecommend(f"{source}, changed as the audit says, would decide otherwise: {listed}")


def _diff(before: str, after: str, source: str) -> str:
    name = PurePath(source).as_posix().lstrip("/")
    lines = difflib.unified_diff(
        before.splitlines(keepends=True), after.splitlines(keepends=True), f"a/{name}", f"b/{name}"
    )
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
    )


__all__ = ["AssetChoice", "CannotEdit", "CannotRecommend", "Recommendation", "present_models", "recommend"]

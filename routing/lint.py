"""What is allowed in a policy and yet probably not meant.

Works with examples: for each route a request that should take it is made up, and then matched. So it finds
the mistakes people make (an early route that swallows a later one) and proves only the simple ones; a clean
policy is no proof that no two routes overlap.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import re2

from routing.decide import PolicyEngine
from routing.document import Place
from routing.examples import Example, example_of
from routing.patterns import core
from routing.planning import plan_candidate
from routing.routes import Route
from routing.schema import Match, RouteSpec
from routing.types import AssetRequest, Capability, ModelFacts, Snapshot


@dataclass(frozen=True, slots=True)
class Finding:
    """`code` is stable: no-default, unreachable, overlap, over-budget, other-modality, repeated-candidate."""

    place: Place
    route: str
    code: str
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.route}: {self.message} [{self.code}]"


def lint(engine: PolicyEngine) -> tuple[Finding, ...]:
    """In the order of the file; none for a policy with nothing to say about."""
    policy = engine.policy
    top = Place(policy.source, 1, 1)
    found: list[Finding] = []
    if policy.default is None:
        found.append(
            Finding(
                top, "(policy)", "no-default", "a request that no route matches is refused: add `default:`"
            )
        )
    for index, route in enumerate(policy.routes):
        place = policy.written_at[index]
        taken = _taken_by_earlier(engine, index)
        if taken is not None:
            found.append(Finding(place, route.name, *taken))
        found += (Finding(place, route.name, code, message) for code, message in _of_route(route))
    if policy.default is not None:
        found += (
            Finding(top, policy.default.name, code, message) for code, message in _of_route(policy.default)
        )
    return tuple(found)


def _taken_by_earlier(engine: PolicyEngine, index: int) -> tuple[str, str] | None:
    routes = engine.policy.routes
    spec = routes[index].spec
    request = example_request(spec)
    if request is None:
        return None
    overlapping = None
    for earlier in engine.matcher.matching(request):
        if earlier >= index:
            break
        if _covers(routes[earlier].spec, spec):
            return "unreachable", (
                f"{routes[earlier].name} ({engine.policy.written_at[earlier]}) comes first and takes "
                "all that this route matches"
            )
        overlapping = earlier if overlapping is None else overlapping
    if overlapping is None:
        return None
    shown = request.asset if request.asset is not None else request.prompt
    return "overlap", (
        f"{shown!r} is an example for this route, but {routes[overlapping].name} "
        f"({engine.policy.written_at[overlapping]}) takes it first"
    )


def example_request(spec: RouteSpec) -> AssetRequest | None:
    """A request that meets every condition of the route; None when none can be made up."""
    match = spec.match or Match()
    by_pattern = _example(spec.pattern)
    by_asset, by_prompt = _example(match.asset), _example(match.prompt)
    given = ((spec.pattern, by_pattern), (match.asset, by_asset), (match.prompt, by_prompt))
    if any(written is not None and found is None for written, found in given):
        return None
    prompt = by_prompt.text if by_prompt else ""
    if by_pattern is not None:
        prompt = by_pattern.text if not prompt else f"{prompt} {by_pattern.text}"
    size = match.size[0] if match.size else "auto"
    width, height = (None, None) if size == "auto" else map(int, size.split("x"))
    request = AssetRequest(
        prompt=prompt,
        asset=by_asset.text if by_asset else None,
        tenant=match.tenant[0] if match.tenant else None,
        quality=match.quality[0] if match.quality else None,
        width=width,
        height=height,
        needs=Capability(match.needs) if match.needs else Capability.GENERATE,
        priority=match.priority or "interactive",
        labels={label: values[0] for label, values in match.labels.items()},
    )
    joined = by_pattern is None or re2.search(core(spec.pattern or ""), prompt)
    return request if joined and (by_prompt is None or re2.search(match.prompt, prompt)) else None


def _example(pattern: str | None) -> Example | None:
    if pattern is None:
        return None
    found = example_of(core(pattern))
    return found if found is not None and re2.search(pattern, found.text) else None


def _covers(earlier: RouteSpec, later: RouteSpec) -> bool:
    """Whether every request that meets the later route's conditions certainly meets the earlier one's."""
    first, second = earlier.match or Match(), later.match or Match()
    texts = (
        _implied(earlier.pattern, later.pattern, second.asset, second.prompt)
        and _implied(first.asset, second.asset)
        and _implied(first.prompt, second.prompt)
    )
    exact = all(
        _subset(getattr(second, name), getattr(first, name)) for name in ("tenant", "size", "quality")
    )
    single = all(getattr(first, name) in (None, getattr(second, name)) for name in ("needs", "priority"))
    labels = all(_subset(second.labels.get(label), values) for label, values in first.labels.items())
    return texts and exact and single and labels


def _implied(wanted: str | None, *given: str | None) -> bool:
    if wanted is None or not core(wanted):
        return True
    goal = example_of(core(wanted))
    for pattern in given:
        if pattern is None:
            continue
        if core(pattern) == core(wanted):
            return True
        source = example_of(core(pattern))
        if goal is not None and source is not None and source.implies(goal):
            return True
    return False


def _subset(inner: tuple[str, ...] | None, outer: tuple[str, ...] | None) -> bool:
    return outer is None or (inner is not None and set(inner) <= set(outer))


def _of_route(route: Route) -> Iterator[tuple[str, str]]:
    yield from _repeated(route)
    if route.candidates:
        yield from _over_budget(route)
        yield from _other_modality(route)


def _repeated(route: Route) -> Iterator[tuple[str, str]]:
    seen: set[tuple[tuple[str, int | None], ...]] = set()
    for candidate in route.candidates:
        chain = tuple((stage.facts.name, stage.steps) for stage in candidate.stages)
        if chain in seen:
            yield "repeated-candidate", f"{' then '.join(candidate.models)} is tried twice in the same way"
        seen.add(chain)


def _over_budget(route: Route) -> Iterator[tuple[str, str]]:
    """By the models' own priors, on an idle platform, at the promise's default size."""
    budget_ms = route.spec.max_latency_ms
    promise = route.candidates[0]
    if budget_ms is None:
        return
    needs = _first_capability(promise.stages[0].facts)
    planned = plan_candidate(promise, promise, AssetRequest("", needs=needs), False, Snapshot())
    if not isinstance(planned, str) and planned.predicted_ms > budget_ms:
        yield (
            "over-budget",
            f"{' then '.join(promise.models)} is expected to take {planned.predicted_ms:.0f} ms, the route "
            f"allows {budget_ms:.0f} ms",
        )


def _other_modality(route: Route) -> Iterator[tuple[str, str]]:
    promised = route.candidates[0].stages[0].facts
    for candidate in route.candidates[1:]:
        first = candidate.stages[0].facts
        if not first.capabilities & promised.capabilities:
            yield (
                "other-modality",
                f"{first.name} cannot stand in for {promised.name}: they have no capability in common",
            )


def _first_capability(facts: ModelFacts) -> Capability:
    return next((each for each in Capability if each in facts.capabilities), Capability.GENERATE)


def model_usage(engine: PolicyEngine) -> Mapping[str, tuple[str, ...]]:
    """Which routes may use each model; a model no route uses has none."""
    usage: dict[str, list[str]] = {name: [] for name in engine.models}
    for route in engine.policy.all_routes:
        for model in route.models:
            usage[model].append(route.name)
    return {name: tuple(routes) for name, routes in usage.items()}

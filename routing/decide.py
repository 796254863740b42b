"""PolicyEngine: (policy, request, snapshot, now) -> Decision, before anything runs.

How the caller's `model` is read:
- `auto`: the first matching route decides, else the default route, else NoRoute.
- an alias: what the policy maps it to (by the request's quality where the alias says so).
- a model's own name: that model alone, without fallback. The budget and the other terms are those of the
  route that would have taken the request, if that route plans this model; otherwise only the caller's.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from routing.matching import Matcher
from routing.planning import Filtered, Planned, filter_candidates, pick
from routing.policy import AUTO, Policy
from routing.routes import Route, single_model_route
from routing.schema import AliasSpec, AliasTarget, RouteSpec, TenantSpec
from routing.splitting import arm_of, is_shadowed
from routing.types import (
    AssetRequest,
    Capability,
    Decision,
    Limit,
    ModelFacts,
    NoRoute,
    Outcome,
    Plan,
    Snapshot,
    UnknownModel,
)

MIN_RETRY_AFTER_S = 1.0
EVERY_OTHER_TENANT = "*"


@dataclass(frozen=True, slots=True)
class Target:
    """The route that plans a request, the rank its ladder starts at, and how it came to be chosen."""

    route: Route
    first_rank: int
    why: str


class PolicyEngine:
    """Immutable; safe to share between threads."""

    def __init__(self, policy: Policy, models: Mapping[str, ModelFacts]) -> None:
        self.policy = policy
        self.models = dict(models)
        self.matcher = Matcher(policy.spec.model_routing)
        self.known_models = tuple(sorted({*models, *policy.spec.aliases, AUTO}))
        self._by_name = {route.name: route for route in policy.all_routes}

    def decide(self, request: AssetRequest, snapshot: Snapshot, now_s: float) -> Decision:
        """Raises UnknownModel and NoRoute. A request nothing can serve gets an empty chain and a refusal."""
        target = self.target(request)
        route, spec = target.route, target.route.spec
        arm = arm_of(route, request)
        candidates = route.candidates if arm is None else arm.candidates
        budget_ms = _smaller(spec.max_latency_ms, request.max_latency_ms)
        deterministic = spec.deterministic or request.deterministic
        filtered = filter_candidates(
            [each for each in candidates if each.rank >= target.first_rank],
            candidates[0],
            request,
            deterministic,
            budget_ms,
            snapshot,
        )
        chain = pick(filtered.allowed)
        raster = None if request.vector or spec.raster_fallback is None else spec.raster_fallback.asset
        refused = not chain and raster is None
        tenant = self._tenant_terms(request.tenant)
        return Decision(
            policy_version=self.policy.version,
            route=route.name,
            reason=_reason(target, chain, filtered, budget_ms, raster),
            budget_ms=budget_ms,
            chain=chain,
            asked_rung=target.first_rank,
            rejected=tuple(filtered.rejected),
            raster=raster,
            raster_words=None if raster is None else _raster_words(route, request, budget_ms, snapshot),
            refusal=_refusal(filtered, budget_ms) if refused else None,
            retry_after_s=_retry_after_s(filtered, budget_ms) if refused else None,
            deterministic=deterministic,
            fastest_ms=_fastest_ms(filtered),
            continue_on_content_refused=spec.fallback_on_content_refused,
            experiment=None if arm is None or spec.experiment is None else spec.experiment.name,
            arm=None if arm is None else arm.name,
            shadow=_shadow(route, request, deterministic, snapshot, now_s),
            limits=_limits(route, tenant, request.tenant),
            weight=1.0 if tenant is None else tenant.weight,
        )

    def target(self, request: AssetRequest) -> Target:
        """Which route plans the request. Raises UnknownModel and NoRoute."""
        if request.model == AUTO:
            return self._matched(request)
        alias = self.policy.spec.aliases.get(request.model)
        if alias is not None:
            return self._aliased(request, alias)
        facts = self.models.get(request.model)
        if facts is None:
            raise UnknownModel(request.model, self.known_models)
        return self._named(request, facts, f"the caller asked for {facts.name}")

    def _matched(self, request: AssetRequest) -> Target:
        index = self.matcher.first(request)
        if index is not None:
            route = self.policy.routes[index]
            return Target(route, self._rank_for_quality(route, request), f"route {route.name} matches")
        if self.policy.default is None:
            raise NoRoute
        route = self.policy.default
        return Target(route, self._rank_for_quality(route, request), "no route matches, the default takes it")

    def _aliased(self, request: AssetRequest, alias: AliasSpec) -> Target:
        chosen = _alias_target(alias, request.quality)
        said = request.model if request.quality is None else f"{request.model} in quality {request.quality}"
        if chosen.route is not None:
            route = self._by_name[chosen.route]
            rank = route.rank_of(chosen.rung)
            if rank is None:
                rank = self._rank_for_quality(route, request)
            return Target(route, rank, f"{said} is served by route {route.name}")
        if chosen.model == AUTO:
            return self._matched(request)
        facts = self.models[str(chosen.model)]
        return self._named(request, facts, f"{said} is served by {facts.name}")

    def _named(self, request: AssetRequest, facts: ModelFacts, why: str) -> Target:
        index = self.matcher.first(request)
        matched = self.policy.default if index is None else self.policy.routes[index]
        if matched is None or facts.name not in matched.models:
            return Target(
                single_model_route(facts, f"model:{facts.name}", RouteSpec(model=facts.name)), 0, why
            )
        terms = RouteSpec(
            model=facts.name,
            max_latency_ms=matched.spec.max_latency_ms,
            deterministic=matched.spec.deterministic,
            limits=matched.spec.limits,
        )
        return Target(
            single_model_route(facts, matched.name, terms), 0, f"{why}, on the terms of {matched.name}"
        )

    def _tenant_terms(self, tenant: str | None) -> TenantSpec | None:
        tenants = self.policy.spec.tenants
        own = tenants.get(tenant) if tenant is not None else None
        return tenants.get(EVERY_OTHER_TENANT) if own is None else own

    def _rank_for_quality(self, route: Route, request: AssetRequest) -> int:
        """A request whose quality is the name of a rung starts there, any other at the promise."""
        return route.rank_of(request.quality) or 0


def _alias_target(alias: AliasSpec, quality: str | None) -> AliasSpec | AliasTarget:
    """A quality the alias does not list takes the alias's own target, or else its first entry."""
    if quality is not None and quality in alias.quality:
        return alias.quality[quality]
    if alias.model is not None or alias.route is not None:
        return alias
    return next(iter(alias.quality.values()))


def _shadow(
    route: Route, request: AssetRequest, deterministic: bool, snapshot: Snapshot, now_s: float
) -> Plan | None:
    """The shadow's plan, if this request falls into its share and the shadow is idle: it must not be in the
    way of requests that somebody waits for."""
    if route.shadow is None or not is_shadowed(route, request, now_s):
        return None
    filtered = filter_candidates((route.shadow,), route.shadow, request, deterministic, None, snapshot)
    if not filtered.allowed or filtered.allowed[0].wait_ms > 0:
        return None
    return filtered.allowed[0].plan


def _raster_words(
    route: Route, request: AssetRequest, budget_ms: float | None, snapshot: Snapshot
) -> Plan | None:
    """None where nothing sets words over the route's baked image, or not in time."""
    words = route.raster_words
    if words is None:
        return None
    setting = replace(request, needs=Capability.TYPESET)
    allowed = filter_candidates((words,), words, setting, False, budget_ms, snapshot).allowed
    return allowed[0].plan if allowed else None


def _limits(route: Route, terms: TenantSpec | None, tenant: str | None) -> tuple[Limit, ...]:
    limits = []
    spec = route.spec.limits
    if spec is not None:
        key = f"route {route.name}" if spec.per == "route" else f"route {route.name} tenant {tenant}"
        limits.append(Limit(key, spec.concurrency, spec.requests_per_minute, spec.usd_per_hour))
    if terms is not None and (terms.concurrency or terms.requests_per_minute or terms.usd_per_hour):
        key = f"tenant {tenant}"
        limits.append(Limit(key, terms.concurrency, terms.requests_per_minute, terms.usd_per_hour))
    return tuple(limits)


def _smaller(first: float | None, second: float | None) -> float | None:
    if first is None or second is None:
        return first if second is None else second
    return min(first, second)


def _refusal(filtered: Filtered, budget_ms: float | None) -> Outcome:
    """Busy when an idle platform could have answered in time, over budget when even that could not."""
    if filtered.busy_s or any(_fits_when_idle(each, budget_ms) for each in filtered.over_budget):
        return Outcome.REFUSED_CAPACITY
    return Outcome.REFUSED_BUDGET if filtered.over_budget else Outcome.UNSUPPORTED


def _retry_after_s(filtered: Filtered, budget_ms: float | None) -> float | None:
    """Until the first candidate is predicted to fit again; None when waiting changes nothing."""
    waits = [each if each is not None else MIN_RETRY_AFTER_S for each in filtered.busy_s]
    if budget_ms is not None:
        waits += [
            (each.predicted_ms + each.uncertainty_ms - budget_ms) / 1000
            for each in filtered.over_budget
            if _fits_when_idle(each, budget_ms)
        ]
    return max(MIN_RETRY_AFTER_S, min(waits)) if waits else None


def _fits_when_idle(planned: Planned, budget_ms: float | None) -> bool:
    return budget_ms is None or planned.predicted_ms - planned.wait_ms <= budget_ms


def _fastest_ms(filtered: Filtered) -> float | None:
    times = [each.predicted_ms for each in (*filtered.allowed, *filtered.over_budget)]
    return min(times) if times else None


def _reason(
    target: Target, chain: tuple[Plan, ...], filtered: Filtered, budget_ms: float | None, raster: str | None
) -> str:
    """One sentence: how the route was chosen, what runs and for how long, what was passed over and why."""
    if chain:
        plan = chain[0]
        within = "" if budget_ms is None else f" of {budget_ms:.0f} ms"
        said = f"{target.why}: {' then '.join(plan.models)}, about {plan.predicted_ms:.0f} ms{within}"
        if plan.rung == target.first_rank or not filtered.rejected:
            return said
        passed = filtered.rejected[0]
        return f"{said}, instead of {' then '.join(passed.models)} which {_as_clause(passed.reason)}"
    why = "; ".join(f"{' then '.join(each.models)}: {each.reason}" for each in filtered.rejected[:4])
    answer = "nothing can answer" if raster is None else "a baked image answers"
    fastest = _fastest_ms(filtered)
    possible = "" if fastest is None else f"; the fastest would take about {fastest:.0f} ms"
    return f"{target.why}, but {answer} ({why}){possible}"


def _as_clause(reason: str) -> str:
    return reason if reason.startswith("would") else f"is out: {reason}"

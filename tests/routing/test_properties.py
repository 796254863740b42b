"""For random policies, loads and failures: what must hold whatever happens."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from routing.decide import PolicyEngine
from routing.fallback import continues, next_plan, predicted_now_ms
from routing.policy import load_policy
from routing.types import AssetRequest, Capability, Decision, ModelState, NoRoute, Outcome, Snapshot
from tests.routing.builders import MODELS

GENERATORS = ["typography_focused", "creative_highfidelity", "fast", "faster", "hosted"]
FOLLOWERS = ["upscale_2x", "cleaner"]


def written(value: object) -> str:
    """JSON is YAML."""
    import json

    return json.dumps(value)


CHAINS = st.one_of(
    st.sampled_from(GENERATORS).map(lambda name: {"model": name}),
    st.tuples(st.sampled_from(GENERATORS), st.lists(st.sampled_from(FOLLOWERS), max_size=2)).map(
        lambda each: {"stages": [each[0], *each[1]]}
    ),
)
CANDIDATES = st.one_of(
    CHAINS,
    st.sampled_from([*GENERATORS, *FOLLOWERS]),
    st.lists(CHAINS, min_size=1, max_size=3).map(lambda members: {"any_of": members}),
)


def optional(**fields: st.SearchStrategy[object]) -> st.SearchStrategy[dict[str, object]]:
    return st.fixed_dictionaries({}, optional=fields)


ROUTES = st.builds(
    lambda promise, more: {**promise, **more},
    CHAINS,
    optional(
        max_latency_ms=st.floats(1, 3000),
        fallback=st.lists(CANDIDATES, max_size=4),
        raster_fallback=st.just("x.png"),
        deterministic=st.booleans(),
        normalize=st.just("cleaner"),
        fallback_on_content_refused=st.booleans(),
        quality=st.lists(
            st.one_of(st.integers(1, 40).map(lambda steps: {"steps": steps}), CHAINS), min_size=1, max_size=3
        ),
        experiment=st.just({"name": "e", "arms": [{"name": "a"}, {"name": "b", "model": "fast"}]}),
    ),
)
POLICIES = st.builds(
    lambda routes, default: {
        "model_routing": [{"pattern": word, **route} for word, route in routes],
        "default": default,
    },
    st.lists(st.tuples(st.sampled_from(["cat", "dog", ".*poster.*"]), ROUTES), max_size=4),
    ROUTES,
)
REQUESTS = st.builds(
    AssetRequest,
    st.sampled_from(["a cat", "a dog poster", "nothing"]),
    model=st.sampled_from(["auto", "auto", *MODELS]),
    width=st.sampled_from([None, 64, 513, 1024]),
    height=st.sampled_from([None, 64, 1024]),
    n=st.integers(1, 4),
    steps=st.sampled_from([None, 1, 50]),
    deterministic=st.booleans(),
    needs=st.sampled_from(list(Capability)),
    max_latency_ms=st.one_of(st.none(), st.floats(1, 3000)),
    sticky_key=st.sampled_from([None, "u", "v"]),
)
STATES = st.builds(
    ModelState,
    available=st.booleans(),
    wait_ms=st.floats(0, 2000),
    overhead_ms=st.floats(0, 500),
    step_ms=st.floats(0, 50),
    observed=st.integers(0, 3),
    breaker_open=st.booleans(),
    parallelism=st.floats(1, 8),
)
SNAPSHOTS = st.dictionaries(st.sampled_from(sorted(MODELS)), STATES).map(Snapshot)
FAILURES = st.lists(
    st.sampled_from([each for each in Outcome if each is not Outcome.OK]), min_size=40, max_size=40
)
MANY = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def engine_of(document: object) -> PolicyEngine:
    return PolicyEngine(load_policy(written(document), source="p.yaml", models=MODELS), MODELS)


@MANY
@given(POLICIES, REQUESTS, SNAPSHOTS, st.floats(0, 1e6))
def test_no_plan_breaks_its_promises(document, request, snapshot, now_s):
    engine = engine_of(document)
    decision = engine.decide(request, snapshot, now_s)
    for plan in (*decision.chain, *((decision.shadow,) if decision.shadow else ())):
        first, last = plan.stages[0], plan.stages[-1]
        assert first.capability is request.needs
        assert request.needs in MODELS[first.model].capabilities
        for stage in plan.stages:
            facts, state = MODELS[stage.model], snapshot.models.get(stage.model)
            assert stage.capability in facts.capabilities
            assert facts.max_pixels is None or stage.width * stage.height <= facts.max_pixels
            assert facts.deterministic or not decision.deterministic
            assert state is None or (state.available and not state.breaker_open)
        if request.width and request.height:
            assert (last.width, last.height) == (request.width, request.height)
    for plan in decision.chain:
        assert decision.budget_ms is None or plan.predicted_ms <= decision.budget_ms + 1e-6
    for budget in (request.max_latency_ms,):
        assert budget is None or (decision.budget_ms or 0) <= budget


@MANY
@given(POLICIES, REQUESTS, SNAPSHOTS)
def test_a_request_gets_a_chain_or_a_raster_or_a_refusal_that_says_why(document, request, snapshot):
    decision = engine_of(document).decide(request, snapshot, 0.0)
    refused = not decision.chain and decision.raster is None
    assert (decision.refusal is not None) == refused
    assert decision.reason
    if decision.retry_after_s is not None:
        assert decision.retry_after_s >= 1
    if not decision.chain:
        assert all(rejection.reason for rejection in decision.rejected)
        assert decision.rejected


@MANY
@given(POLICIES, REQUESTS, SNAPSHOTS, st.floats(0, 1e6))
def test_the_same_inputs_give_the_same_decision(document, request, snapshot, now_s):
    first, second = engine_of(document), engine_of(document)
    assert first.decide(request, snapshot, now_s) == second.decide(request, snapshot, now_s)
    assert first.decide(request, snapshot, now_s) == first.decide(request, snapshot, now_s)


@MANY
@given(POLICIES, REQUESTS, SNAPSHOTS, SNAPSHOTS, FAILURES, st.one_of(st.none(), st.floats(0, 3000)))
def test_whatever_fails_the_chain_ends_without_a_loop_or_a_plan_that_is_too_late(
    document, request, snapshot, later, failures, remaining_ms
):
    decision: Decision = engine_of(document).decide(request, snapshot, 0.0)
    tried, failed = [], []
    plan = decision.chain[0] if decision.chain else None
    for outcome in failures:
        if plan is None:
            break
        assert plan not in tried, "a plan is tried once"
        assert plan in decision.chain, "no fallback invents a plan, so none changes the modality"
        tried.append(plan)
        failed.append((plan, outcome))
        plan = next_plan(decision, failed, remaining_ms, later)
        if plan is not None:
            assert continues(decision, outcome)
            assert remaining_ms is None or predicted_now_ms(plan, later) <= remaining_ms
    assert plan is None, "the chain ends"
    assert len(tried) <= len(decision.chain)


@MANY
@given(POLICIES, REQUESTS)
def test_without_a_default_nothing_but_no_route_is_raised(document, request):
    engine = engine_of({**document, "default": None, "aliases": {"alias": "fast"}})
    try:
        decision = engine.decide(request, Snapshot(), 0.0)
    except NoRoute:
        assert engine.matcher.first(request) is None
    else:
        assert decision.policy_version == engine.policy.version

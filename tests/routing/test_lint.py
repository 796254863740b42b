import pytest

from routing.lint import example_request, lint, model_usage
from routing.schema import RouteSpec
from tests.routing.builders import SEED_POLICY, engine

DEFAULT = "default: {model: fast}\n"


def codes(routes: str, default: str = DEFAULT) -> list[tuple[str, str]]:
    return [(found.route, found.code) for found in lint(engine(f"{default}model_routing:\n{routes}"))]


def test_the_seed_policy_lacks_only_a_default():
    assert [found.code for found in lint(engine(SEED_POLICY))] == ["no-default"]
    assert lint(engine(SEED_POLICY + DEFAULT)) == ()


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("pattern: ui-badge", "pattern: big ui-badge"),
        ("pattern: '.*x.*'", "pattern: x"),
        ("pattern: '.*'", "pattern: anything"),
        ("match: {asset: icon}", "match: {asset: app icon}"),
        ("pattern: cat", "match: {prompt: a cat}"),
        ("match: {tenant: [a, b]}", "match: {tenant: a}"),
        ("match: {labels: {team: web}}", "match: {labels: {team: web, area: x}, tenant: a}"),
        ("pattern: x", "pattern: x, match: {quality: hd}"),
        ("pattern: '(?i)cat'", "pattern: Cat show"),
    ],
)
def test_a_route_behind_one_that_takes_all_of_it_is_unreachable(first, second):
    routes = f"  - {{name: one, model: fast, {first}}}\n  - {{name: two, model: fast, {second}}}\n"
    assert codes(routes) == [("two", "unreachable")]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("pattern: big ui-badge", "pattern: ui-badge"),
        ("pattern: cat", "pattern: dog"),
        ("match: {asset: cat}", "pattern: cat"),
        ("pattern: x, match: {tenant: a}", "pattern: x"),
        ("match: {tenant: a}", "match: {tenant: [b, a]}"),
        ("pattern: x, match: {quality: hd}", "pattern: x, match: {quality: low}"),
        ("match: {needs: edit}", "match: {tenant: a}"),
    ],
)
def test_routes_that_can_both_be_reached_are_not_called_unreachable(first, second):
    routes = f"  - {{name: one, model: fast, {first}}}\n  - {{name: two, model: fast, {second}}}\n"
    assert ("two", "unreachable") not in codes(routes)


def test_a_route_whose_own_example_goes_elsewhere_overlaps():
    found = lint(
        engine(
            DEFAULT + "model_routing:\n"
            "  - {name: one, pattern: 'c.t', model: fast}\n"
            "  - {name: two, pattern: 'cat show', model: fast}\n"
        )
    )
    assert [each.code for each in found] == ["overlap"]
    assert str(found[0]) == (
        "policy.yaml:4:5: two: 'cat show' is an example for this route, but one (policy.yaml:3:5) takes it "
        "first [overlap]"
    )


def test_a_promise_that_cannot_be_kept():
    assert codes("  - {name: r, pattern: x, model: hosted, max_latency_ms: 100}\n") == [("r", "over-budget")]


def test_a_fallback_of_another_modality():
    assert codes("  - {name: r, pattern: x, model: fast, fallback: [cleaner]}\n") == [("r", "other-modality")]


def test_a_candidate_that_is_tried_twice():
    assert codes("  - {name: r, pattern: x, model: fast, fallback: [hosted, fast]}\n") == [
        ("r", "repeated-candidate")
    ]
    assert codes("  - {name: r, pattern: x, model: fast, fallback: [{model: fast, steps: 1}]}\n") == []


def test_which_routes_use_a_model():
    text = DEFAULT + "model_routing: [{name: r, pattern: x, stages: [fast, cleaner]}]"
    usage = model_usage(engine(text))
    assert set(usage["fast"]) == {"r", "default"}
    assert usage["cleaner"] == ("r",)
    assert usage["hosted"] == ()


def test_an_example_request_takes_its_route():
    text = (
        "model_routing:\n  - name: r\n    pattern: poster\n    model: fast\n"
        "    match:\n      asset: '^icon'\n"
        "      prompt: 'a [cd]at'\n      tenant: [a, b]\n      size: 512x256\n      labels: {team: web}\n"
        "      needs: edit\n      priority: batch\n      quality: hd\n"
    )
    one = engine(text)
    request = example_request(one.policy.routes[0].spec)
    assert request is not None
    assert one.matcher.first(request) == 0


def test_no_example_is_better_than_a_wrong_one():
    assert example_request(RouteSpec(model="m", pattern=r"\pL")) is None
    assert example_request(RouteSpec(model="m", pattern=r"a\bb")) is None

import difflib

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from audits.recommend.changes import CannotEdit, NewRoute, RouteChange
from audits.recommend.editing import edit_policy

POLICY = """\
# Which model makes what.
model_routing:
  - name: badges                # small
    pattern: ".*ui-badge.*"
    model: typography_focused
    max_latency_ms: 2000        # a laptop

  # Posters: the title must be legible.
  - name: posters
    match: {asset: poster}
    model: creative
    # if it fails
    fallback:
      - typography_focused      # at least words
      - {stages: [creative, upscale_2x]}
    max_latency_ms: 9000

# Everything else.
default:
  model: creative
  max_latency_ms: 15000
"""


def changed_lines(before: str, after: str) -> list[str]:
    return [
        line
        for line in difflib.unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm="")
        if line[0] in "+-" and line[:3] not in ("+++", "---")
    ]


def test_a_value_changes_where_it_stands():
    after = edit_policy(POLICY, [RouteChange(0, {"max_latency_ms": 450}, ["p95 312 ms"])], [])
    assert changed_lines(POLICY, after) == [
        "+  # audit: p95 312 ms",
        "-    max_latency_ms: 2000        # a laptop",
        "+    max_latency_ms: 450        # a laptop",
    ]


def test_stages_take_the_place_of_the_model_and_fallbacks_that_of_fallbacks():
    values = {"model": None, "stages": ["creative", "typography_focused"], "fallback": ["creative"]}
    after = edit_policy(POLICY, [RouteChange(1, values, [])], [])
    assert changed_lines(POLICY, after) == [
        "-    model: creative",
        "+    stages: [creative, typography_focused]",
        "-    fallback:",
        "-      - typography_focused      # at least words",
        "-      - {stages: [creative, upscale_2x]}",
        "+    fallback: [creative]",
    ]


def test_the_first_key_of_a_route_can_go():
    after = edit_policy(POLICY, [RouteChange(0, {"name": None, "steps": 4}, [])], [])
    assert changed_lines(POLICY, after) == [
        "-  - name: badges                # small",
        '-    pattern: ".*ui-badge.*"',
        '+  - pattern: ".*ui-badge.*"',
        "+    steps: 4",
    ]


def test_new_remarks_replace_the_old_ones():
    change = RouteChange(1, {"max_latency_ms": 8000}, ["one", "two"])
    once = edit_policy(POLICY, [change], [])
    assert edit_policy(once, [change], []) == once
    assert "Posters: the title must be legible." in once


def test_the_default_route_changes_like_any_other():
    after = edit_policy(POLICY, [RouteChange(None, {"max_latency_ms": 9000}, ["p95 5 s"])], [])
    assert changed_lines(POLICY, after) == [
        "+# audit: p95 5 s",
        "-  max_latency_ms: 15000",
        "+  max_latency_ms: 9000",
    ]


def test_a_new_route_comes_above_the_comments_of_the_one_after_it():
    route = {"name": "icons", "match": {"asset": "^icon$"}, "model": "creative"}
    after = edit_policy(POLICY, [], [NewRoute(1, route, ["60 of 60"])])
    written = [
        "  # audit: 60 of 60",
        "  - name: icons",
        "    match: {asset: ^icon$}",
        "    model: creative",
        "",
        "  # Posters: the title must be legible.",
    ]
    assert after == POLICY.replace(written[-1], "\n".join(written))
    assert [each["name"] for each in yaml.safe_load(after)["model_routing"]] == ["badges", "icons", "posters"]


def test_a_policy_without_routes_gets_some():
    after = edit_policy("default: creative\n".replace("creative", "{model: creative}"), [], [
        NewRoute(None, {"pattern": "icon", "model": "typesetter"}, []),
    ])  # fmt: skip
    assert [each["pattern"] for each in yaml.safe_load(after)["model_routing"]] == ["icon"]


def test_a_route_on_one_line_is_written_out():
    routes = '- {pattern: "a", model: b}\n- {pattern: "c", model: d}  # last\n'
    text = f"model_routing:\n{routes}default: {{model: e}}\n"
    after = edit_policy(
        text, [RouteChange(0, {"model": "f"}, []), RouteChange(None, {"max_latency_ms": 5}, [])], []
    )
    assert yaml.safe_load(after) == {
        "model_routing": [{"pattern": "a", "model": "f"}, {"pattern": "c", "model": "d"}],
        "default": {"model": "e", "max_latency_ms": 5},
    }
    assert "# last" in after


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{model_routing: [], default: {model: a}}", "block of"),
        ("model_routing: [{pattern: a, model: b}]\n", "line 1: write each route on lines of its own"),
        ("x: &r {pattern: a, model: b}\nmodel_routing:\n  - *r\n", "line 1: the route, or a part of it"),
        ("x: &r {model: b}\nmodel_routing:\n  - <<: *r\n    pattern: a\n", "line 3: the route takes keys"),
        ("model_routing:\n  -\n    pattern: a\n    model: b\n", "line 3: the route does not begin"),
        ("default: {model: a}\n", "no route 0"),
    ],
)
def test_what_cannot_be_changed_line_by_line_is_refused(text, words):
    with pytest.raises(CannotEdit, match=words):
        edit_policy(text, [RouteChange(0, {"model": "c"}, [])], [])


MODELS = st.sampled_from(["a", "b", "c-d", "true", "1.5", "x: y", "#no"])
VALUES = st.fixed_dictionaries(
    {},
    optional={
        "model": st.none() | MODELS,
        "stages": st.none() | st.lists(MODELS, min_size=1, max_size=9),
        "fallback": st.none() | st.lists(MODELS | st.fixed_dictionaries({"stages": st.lists(MODELS)})),
        "max_latency_ms": st.integers(1, 10**6) | st.floats(1, 10),
        "deterministic": st.none() | st.booleans(),
    },
)


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from([0, 1, None]), VALUES), max_size=3, unique_by=lambda each: each[0]))
def test_the_new_text_means_the_change_and_no_comment_elsewhere_is_lost(changes):
    after = edit_policy(POLICY, [RouteChange(place, values, ["why"]) for place, values in changes], [])
    expected = yaml.safe_load(POLICY)
    for place, values in changes:
        route = expected["default"] if place is None else expected["model_routing"][place]
        route.update(values)
        for key in [key for key, value in route.items() if value is None]:
            del route[key]
    assert yaml.safe_load(after) == expected
    for comment in (
        "# Which model makes what.",
        "# small",
        "# Posters: the title must",
        "# Everything else.",
    ):
        assert comment in after


def test_line_ends_stay_as_they_are():
    text = POLICY.replace("\n", "\r\n")
    after = edit_policy(text, [RouteChange(0, {"max_latency_ms": 450}, ["p95"])], [])
    assert after.replace("\r\n", "") == edit_policy(
        POLICY, [RouteChange(0, {"max_latency_ms": 450}, ["p95"])], []
    ).replace("\n", "")


def test_a_name_with_a_line_break_cannot_leave_its_remark():
    after = edit_policy(POLICY, [RouteChange(0, {}, ["x\ndefault: {model: evil}"])], [])
    assert yaml.safe_load(after) == yaml.safe_load(POLICY)
    assert "# audit: x default: {model: evil}" in after

import pytest

from routing.compare import BadLog, decision_changes, diff_policies, read_request_log
from routing.types import AssetRequest, Snapshot
from tests.routing.builders import SEED_POLICY, engine, policy


def test_a_policy_does_not_differ_from_itself():
    assert diff_policies(policy(SEED_POLICY), policy(SEED_POLICY + "# a comment\n")).empty


def test_added_removed_changed_and_reordered_routes():
    before = "model_routing:\n" + "".join(
        f"  - {{name: {name}, pattern: {name}, model: fast}}\n" for name in ("a", "b", "c")
    )
    after = (
        "model_routing:\n  - {name: c, pattern: c, model: hosted, max_latency_ms: 5}\n"
        "  - {name: b, pattern: b, model: fast}\n"
        "  - {name: d, pattern: d, model: fast}\ndefault: {model: fast}\n"
    )
    diff = diff_policies(policy(before), policy(after))
    assert (diff.added, diff.removed, diff.reordered) == (("d",), ("a",), True)
    assert [(each.path, each.before, each.after) for each in diff.changed] == [
        ("c: model", '"fast"', '"hosted"'),
        ("c: max_latency_ms", None, "5.0"),
        ("default", None, '{"model": "fast"}'),
    ]


def test_unnamed_routes_are_known_by_what_they_match():
    diff = diff_policies(policy(SEED_POLICY), policy(SEED_POLICY.replace("300", "250")))
    assert [(each.path, each.before, each.after) for each in diff.changed] == [
        (".*ui-badge.*: max_latency_ms", "300.0", "250.0")
    ]


def test_only_requests_that_are_decided_differently_are_reported():
    before, after = engine(SEED_POLICY), engine(SEED_POLICY.replace("creative_highfidelity", "fast"))
    requests = [AssetRequest("a poster"), AssetRequest("x", asset="ui-badge"), AssetRequest("nothing")]
    (change,) = decision_changes(before, after, requests, Snapshot())
    assert change.request.prompt == "a poster"
    assert "creative_highfidelity (1200 ms)" in change.before
    assert "fast (1200 ms)" in change.after


def test_a_log_is_read_line_by_line():
    lines = ['{"prompt": "a", "size": "64x32"}', "", '{"prompt": "b", "asset": "x"}']
    first, second = read_request_log(lines, "log.jsonl")
    assert (first.width, first.height) == (64, 32)
    assert second.asset == "x"


@pytest.mark.parametrize("line", ["{", '{"promt": "a"}', '{"n": "3"}', "[]"])
def test_a_bad_line_is_named(line):
    with pytest.raises(BadLog, match=r"log\.jsonl:2: "):
        read_request_log(['{"prompt": "a"}', line], "log.jsonl")

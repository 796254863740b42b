import subprocess

import pytest
import yaml

from audits.recommend.choosing import Contender, choose
from audits.recommend.policy import AssetChoice, CannotRecommend, present_models, recommend
from routing.cases import load_cases, run_cases
from routing.decide import PolicyEngine
from routing.policy import load_policy
from routing.types import Capability, ModelFacts

POLICY = """\
# The one on the wall.
model_routing:
  - name: badges
    pattern: ".*ui-badge.*"
    model: creative            # as it always was
    fallback: [typesetter]
    max_latency_ms: 2000

  - name: posters              # titles too
    pattern: ".*poster.*"
    model: creative
    max_latency_ms: 9000

default: {model: creative, max_latency_ms: 15000}
"""
EVERYTHING = frozenset(Capability)
MODELS = {name: ModelFacts(name, EVERYTHING) for name in ("creative", "typesetter", "upscale")}


def contender(variant: str, models: tuple[str, ...], *missed: str, p95_ms: float = 100.0, steps=None):
    return Contender(variant, models, steps, missed, 1.0, p95_ms, p95_ms * 1.1)


def nobody(_one: str, _other: str) -> bool:
    return False


def asset(name: str, *contenders: Contender, prompts: tuple[str, ...] = ("SALE",)) -> AssetChoice:
    choice = choose(contenders, nobody, None, 1.25)
    return AssetChoice(name, prompts, choice, (choice.because,))


TYPESETTER = contender("typesetter", ("typesetter",), p95_ms=200)
COMPOSITION = contender("composition", ("creative", "typesetter"), p95_ms=4000)
ILLEGIBLE = contender("creative", ("creative",), "legible 2 of 40", p95_ms=50)


def routes(text: str) -> dict:
    return {each["name"]: each for each in yaml.safe_load(text)["model_routing"]}


def test_badges_go_to_the_typesetter_and_posters_to_the_composition():
    found = recommend(POLICY, "policy.yaml", MODELS, [
        asset("ui-badge", TYPESETTER, ILLEGIBLE), asset("poster-title", COMPOSITION, ILLEGIBLE),
    ])  # fmt: skip
    badges, posters = routes(found.text)["badges"], routes(found.text)["posters"]
    assert badges == {
        "name": "badges", "pattern": ".*ui-badge.*", "model": "typesetter", "max_latency_ms": 280,
    }  # fmt: skip
    assert posters["stages"] == ["creative", "typesetter"]
    assert posters["max_latency_ms"] == 5500
    assert "model" not in posters
    assert "# as it always was" in found.text
    assert "# titles too" in found.text
    assert "  # audit: typesetter alone passed every criterion\n  - name: badges" in found.text


def test_the_diff_applies_and_makes_the_new_policy(tmp_path):
    found = recommend(POLICY, "policy.yaml", MODELS, [asset("ui-badge", TYPESETTER)])
    (tmp_path / "policy.yaml").write_text(POLICY)
    subprocess.run(["git", "apply", "-"], cwd=tmp_path, input=found.diff, text=True, check=True)
    assert (tmp_path / "policy.yaml").read_text() == found.text


def test_a_fallback_that_did_not_pass_goes_and_is_named():
    found = recommend(POLICY, "policy.yaml", MODELS, [asset("ui-badge", contender("now", ("creative",)))])
    assert "-    fallback: [typesetter]" in found.diff
    assert "+  # audit: no fallback any more: typesetter, which did not pass" in found.diff


def test_its_cases_pass_on_the_new_policy_and_fail_on_the_present_one():
    found = recommend(POLICY, "policy.yaml", MODELS, [asset("ui-badge", TYPESETTER, ILLEGIBLE)])
    cases = load_cases(found.cases, "cases")
    for text, passes in ((found.text, True), (POLICY, False)):
        engine = PolicyEngine(load_policy(text, source="policy.yaml", models=MODELS), MODELS)
        assert all(each.passed for each in run_cases(engine, cases)) is passes
    assert [case.expect.chain for case in cases.cases] == [(("typesetter",),), ()]
    assert cases.cases[1].expect.refusal == "refused_capacity"


def test_asset_types_that_share_a_route_get_routes_of_their_own_before_it():
    found = recommend(POLICY, "policy.yaml", MODELS, [
        asset("poster-title", COMPOSITION), asset("poster", contender("creative", ("creative",))),
        asset("icon", TYPESETTER),
    ])  # fmt: skip
    names = [each["name"] for each in yaml.safe_load(found.text)["model_routing"]]
    assert names == ["badges", "poster-title", "poster", "posters", "icon"]
    assert routes(found.text)["posters"] == routes(POLICY)["posters"]
    assert routes(found.text)["icon"]["match"] == {"asset": "^icon$"}


def test_nothing_passed_leaves_the_route_and_says_so():
    found = recommend(POLICY, "policy.yaml", MODELS, [asset("ui-badge", ILLEGIBLE)])
    assert yaml.safe_load(found.text) == yaml.safe_load(POLICY)
    assert "+  # audit: no variant passed every criterion; the route stays as it is" in found.diff
    assert found.cases == ""


def test_the_present_promise_is_not_written_again():
    found = recommend(POLICY, "policy.yaml", MODELS, [asset("poster", contender("now", ("creative",)))])
    assert "model: creative\n" in found.text
    assert "-    model: creative" not in found.diff


def test_rungs_become_a_ladder():
    full = contender("full", ("creative",), steps=20, p95_ms=400)
    choice = choose([full, contender("few", ("creative",), steps=5)], nobody, "full", 1.25)
    found = recommend(POLICY, "policy.yaml", MODELS, [AssetChoice("poster", ("x",), choice, ())])
    assert routes(found.text)["posters"]["quality"] == [
        {"name": "full", "model": "creative", "steps": 20},
        {"name": "few", "model": "creative", "steps": 5},
    ]
    assert "model" not in routes(found.text)["posters"]


def test_recommending_twice_changes_nothing_the_second_time():
    chosen = [asset("ui-badge", TYPESETTER, ILLEGIBLE), asset("icon", TYPESETTER)]
    once = recommend(POLICY, "policy.yaml", MODELS, chosen)
    assert recommend(once.text, "policy.yaml", MODELS, chosen).diff == ""


def test_a_budget_that_the_models_are_known_not_to_keep_is_refused():
    slow = {**MODELS, "typesetter": ModelFacts("typesetter", EVERYTHING, prior_overhead_ms=60_000)}
    with pytest.raises(CannotRecommend, match="ui-badge: typesetter"):
        recommend(POLICY, "policy.yaml", slow, [asset("ui-badge", TYPESETTER)])


def test_what_the_policy_promises_now():
    policy = load_policy(POLICY, source="policy.yaml", models=MODELS)
    assert present_models(policy, MODELS, "ui-badge", "SALE").models == ("creative",)

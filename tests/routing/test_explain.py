from routing.explain import Fate, explain
from routing.types import AssetRequest, Snapshot
from tests.routing.builders import engine

TEXT = """\
model_routing:
  - {name: badges, pattern: ui-badge, model: typography_focused}
  - {name: acme, pattern: poster, match: {tenant: acme}, model: fast}
  - {name: posters, pattern: poster, model: creative_highfidelity}
  - {name: late, pattern: post, model: fast}
aliases: {dall-e-3: {route: badges}}
"""


def fates(**request: object) -> dict[str, tuple[Fate, str]]:
    explanation = explain(engine(TEXT), AssetRequest(**{"prompt": "", **request}), Snapshot(), 0.0)  # type: ignore[arg-type]
    return {fate.route: (fate.fate, fate.why) for fate in explanation.fates}


def test_every_route_has_its_fate_and_reason():
    found = fates(prompt="a poster", tenant="x")
    assert found["badges"] == (Fate.NO_MATCH, "the pattern is neither in the asset nor in the prompt")
    assert found["acme"] == (Fate.NO_MATCH, "tenant 'x' is not among acme")
    assert found["posters"][0] is Fate.TAKEN
    assert found["late"] == (Fate.LATE, "matches, but an earlier route took it")


def test_an_alias_leads_past_the_routes_that_match():
    found = fates(prompt="a poster", model="dall-e-3")
    assert found["badges"] == (Fate.TAKEN, "is what the alias or the model's name leads to")
    assert found["posters"][0] is not Fate.TAKEN


def test_a_refusal_is_explained_too():
    explanation = explain(engine(TEXT), AssetRequest("nothing"), Snapshot(), 0.0)
    assert explanation.decision is None
    assert "no default route" in str(explanation.error)
    assert {fate.fate for fate in explanation.fates} == {Fate.NO_MATCH}


def test_the_route_taken_is_the_one_of_the_decision():
    explanation = explain(engine(TEXT), AssetRequest("poster", tenant="acme"), Snapshot(), 0.0)
    assert explanation.decision is not None
    taken = [fate.route for fate in explanation.fates if fate.fate is Fate.TAKEN]
    assert taken == [explanation.decision.route] == ["acme"]

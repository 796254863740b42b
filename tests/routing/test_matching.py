import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.matching import Matcher
from routing.schema import Match, RouteSpec
from routing.types import AssetRequest, Capability


def first(routes: list[RouteSpec], **request: object) -> int | None:
    return Matcher(routes).first(AssetRequest(**{"prompt": "", **request}))  # type: ignore[arg-type]


def route(pattern: str | None = None, **match: object) -> RouteSpec:
    return RouteSpec(model="m", pattern=pattern, match=Match(**match) if match else None)  # type: ignore[arg-type]


def test_a_pattern_is_found_in_the_asset_and_in_the_prompt():
    routes = [route(".*ui-badge.*")]
    assert first(routes, asset="ui-badge") == 0
    assert first(routes, prompt="a ui-badge that says SALE") == 0
    assert first(routes, prompt="line one\nthen a ui-badge\nand more") == 0
    assert first(routes, prompt="a badge") is None


def test_the_first_route_that_matches_wins():
    routes = [route("poster"), route("poster of a cat"), route("cat")]
    assert first(routes, prompt="poster of a cat") == 0
    assert first(routes, prompt="a cat") == 2


def test_asset_and_prompt_conditions_look_at_their_own_text():
    assert first([route(asset="badge")], prompt="badge") is None
    assert first([route(asset="badge")], asset="a badge") == 0
    assert first([route(prompt="badge")], asset="badge") is None


def test_a_pattern_and_conditions_must_all_hold():
    routes = [route("poster", tenant=("acme", "initech"), quality=("hd",))]
    assert first(routes, prompt="poster", tenant="acme", quality="hd") == 0
    assert first(routes, prompt="poster", tenant="acme") is None
    assert first(routes, prompt="poster", tenant="other", quality="hd") is None
    assert first(routes, tenant="acme", quality="hd") is None


@pytest.mark.parametrize(
    ("match", "request_fields"),
    [
        ({"size": ("512x512",)}, {"width": 512, "height": 512}),
        ({"size": ("auto",)}, {}),
        ({"needs": "edit"}, {"needs": Capability.EDIT}),
        ({"priority": "batch"}, {"priority": "batch"}),
        ({"labels": {"team": ("web", "app")}}, {"labels": {"team": "app"}}),
        ({"tenant": ("acme",)}, {"tenant": "acme"}),
    ],
)
def test_each_exact_condition_holds_only_for_its_value(match, request_fields):
    assert first([route(**match)], **request_fields) == 0
    other = {"width": 8, "height": 8, "needs": Capability.UPSCALE, "tenant": "x", "labels": {"team": "x"}}
    assert first([route(**match)], **other) is None


def test_a_pattern_of_only_dot_star_matches_everything():
    assert first([route(".*")]) == 0


def test_many_routes_that_share_a_pattern_are_told_apart_by_tenant():
    routes = [route(".*poster.*", tenant=(f"tenant-{i}",)) for i in range(500)]
    assert first(routes, prompt="a poster", tenant="tenant-321") == 321


WORDS = st.sampled_from(["cat", "dog", "poster", "badge", "ui"])
ROUTES = st.lists(
    st.builds(
        route,
        st.one_of(st.none(), WORDS, WORDS.map(lambda word: f".*{word}.*")),
        asset=st.one_of(st.none(), WORDS),
        prompt=st.one_of(st.none(), WORDS),
        tenant=st.one_of(st.none(), st.lists(st.sampled_from("abc"), min_size=1).map(tuple)),
        labels=st.dictionaries(st.sampled_from("xy"), st.just(("1",)), max_size=2),
    ),
    max_size=8,
)
REQUESTS = st.builds(
    AssetRequest,
    st.lists(WORDS, max_size=4).map(" ".join),
    asset=st.one_of(st.none(), st.lists(WORDS, max_size=2).map("-".join)),
    tenant=st.one_of(st.none(), st.sampled_from("abc")),
    labels=st.dictionaries(st.sampled_from("xy"), st.sampled_from("12"), max_size=2),
)


def naive_first(routes: list[RouteSpec], request: AssetRequest) -> int | None:
    """The documented meaning, written down directly."""
    for index, spec in enumerate(routes):
        word = spec.pattern.strip(".*") if spec.pattern else ""
        match = spec.match or Match()
        holds = (
            (word in request.prompt or word in (request.asset or ""))
            and (match.asset is None or (request.asset is not None and match.asset in request.asset))
            and (match.prompt is None or match.prompt in request.prompt)
            and (match.tenant is None or request.tenant in match.tenant)
            and all(request.labels.get(name) in values for name, values in match.labels.items())
        )
        if holds:
            return index
    return None


@given(ROUTES, REQUESTS)
def test_the_index_finds_what_trying_every_route_in_turn_finds(routes, request):
    assert Matcher(routes).first(request) == naive_first(routes, request)

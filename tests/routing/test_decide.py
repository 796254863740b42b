import pytest

from routing.types import (
    Capability,
    Limit,
    ModelState,
    NoRoute,
    Outcome,
    Snapshot,
    UnknownModel,
)
from tests.routing.builders import IDLE, SEED_POLICY, busy, decide

LADDER = """\
model_routing:
  - name: posters
    pattern: poster
    max_latency_ms: 1200
    quality:
      - {name: hd, model: creative_highfidelity, steps: 30}
      - {name: standard, model: creative_highfidelity, steps: 10}
      - {name: draft, stages: [{model: creative_highfidelity, steps: 4}, upscale_2x]}
    fallback: [{any_of: [fast, faster]}, hosted]
"""


class TestRouting:
    def test_the_seed_policy_routes(self):
        badge = decide(SEED_POLICY, asset="ui-badge")
        assert badge.chain[0].models == ("typography_focused",)
        assert badge.budget_ms == 300
        assert decide(SEED_POLICY, prompt="a poster").budget_ms == 1200

    def test_without_a_match_the_default_answers_or_nothing_does(self):
        assert decide(SEED_POLICY + "default: {model: fast}", prompt="x").route == "default"
        with pytest.raises(NoRoute):
            decide(SEED_POLICY, prompt="x")

    def test_a_models_own_name_asks_for_that_model_alone(self):
        decision = decide(LADDER, prompt="poster", model="hosted")
        assert [plan.models for plan in decision.chain] == [("hosted",)]
        assert (decision.route, decision.budget_ms) == ("posters", 1200)

    def test_a_named_model_is_not_held_to_the_budget_of_a_route_that_never_uses_it(self):
        decision = decide(SEED_POLICY, asset="ui-badge", model="hosted")
        assert (decision.route, decision.budget_ms) == ("model:hosted", None)

    def test_an_unknown_model_is_named_with_those_that_work(self):
        with pytest.raises(UnknownModel) as unknown:
            decide(SEED_POLICY + "aliases: {dall-e-2: fast}", model="dall-e-9")
        assert unknown.value.name == "dall-e-9"
        assert {"auto", "dall-e-2", "fast"} <= set(unknown.value.known)

    def test_the_request_can_only_shorten_the_budget(self):
        assert decide(SEED_POLICY, asset="ui-badge", max_latency_ms=100).budget_ms == 100
        assert decide(SEED_POLICY, asset="ui-badge", max_latency_ms=9000).budget_ms == 300
        assert decide("default: {model: fast}", max_latency_ms=50).budget_ms == 50


class TestAliases:
    TEXT = LADDER + (
        "aliases:\n"
        "  dall-e-2: fast\n"
        "  gpt-image-1: {model: auto}\n"
        "  dall-e-3: {quality: {standard: {route: posters, rung: draft}, hd: {route: posters}}}\n"
        "  both: {model: fast, quality: {hd: hosted}}\n"
    )

    def test_a_model(self):
        assert decide(self.TEXT, model="dall-e-2").chain[0].models == ("fast",)

    def test_auto(self):
        assert decide(self.TEXT, model="gpt-image-1", prompt="poster").route == "posters"

    def test_a_route_by_quality(self):
        hd = decide(self.TEXT, model="dall-e-3", quality="hd", max_latency_ms=2000)
        assert (hd.route, hd.chain[0].stages[0].steps) == ("posters", 30)
        standard = decide(self.TEXT, model="dall-e-3", quality="standard")
        assert standard.chain[0].models == ("creative_highfidelity", "upscale_2x")

    def test_an_unlisted_quality_takes_the_aliass_own_target_or_its_first_entry(self):
        assert decide(self.TEXT, model="dall-e-3").chain[0].rung == 2
        assert decide(self.TEXT, model="both", quality="low").chain[0].models == ("fast",)
        assert decide(self.TEXT, model="both", quality="hd").chain[0].models == ("hosted",)


class TestLadder:
    def test_the_chain_goes_down_the_ladder_and_then_to_the_fallbacks(self):
        decision = decide(LADDER, prompt="poster")
        assert [(plan.rung, plan.models[0], plan.stages[0].steps) for plan in decision.chain] == [
            (0, "creative_highfidelity", 30),
            (1, "creative_highfidelity", 10),
            (2, "creative_highfidelity", 4),
            (3, "faster", None),
            (3, "fast", None),
            (4, "hosted", None),
        ]

    def test_what_cannot_be_in_time_is_out_before_anything_runs(self):
        decision = decide(LADDER, busy(creative_highfidelity=500), prompt="poster")
        assert decision.chain[0].stages[0].steps == 10
        assert decision.rejected[0].outcome is Outcome.REFUSED_BUDGET
        assert "would take about 1450 ms of 1200 ms, 500 ms of it waiting" in decision.reason

    def test_a_quality_that_names_a_rung_starts_there(self):
        assert decide(LADDER, prompt="poster", quality="standard").chain[0].rung == 1
        assert decide(LADDER, prompt="poster", quality="unheard of").chain[0].rung == 0

    def test_the_callers_steps_replace_those_of_the_promise_and_cap_the_others(self):
        steps = [plan.stages[0].steps for plan in decide(LADDER, prompt="poster", steps=8).chain[:3]]
        assert steps == [8, 8, 4]

    def test_equals_are_ordered_by_time_and_then_by_cost(self):
        slower = decide(LADDER, busy(faster=100), prompt="poster")
        assert [plan.models for plan in slower.chain if plan.rung == 3] == [("fast",), ("faster",)]

    def test_an_entry_without_a_model_varies_the_routes_own(self):
        text = "default: {stages: [creative_highfidelity, cleaner], quality: [{steps: 9}, {steps: 3}]}"
        plans = decide(text).chain
        assert [plan.models for plan in plans] == [("creative_highfidelity", "cleaner")] * 2
        assert [plan.stages[0].steps for plan in plans] == [9, 3]


class TestSizes:
    STAGES = "default: {stages: [creative_highfidelity, upscale_2x]}"

    def sizes(self, text: str, plan: int = 0, **request: object) -> list[tuple[int, int]]:
        return [(stage.width, stage.height) for stage in decide(text, **request).chain[plan].stages]

    def test_an_upscaler_after_generation_lets_it_render_smaller(self):
        assert self.sizes(self.STAGES, width=512, height=384) == [(256, 192), (512, 384)]

    def test_without_a_size_the_first_model_renders_its_default(self):
        assert self.sizes(self.STAGES) == [(512, 512), (1024, 1024)]

    def test_a_cheaper_rung_makes_an_image_of_the_promised_size(self):
        assert self.sizes(LADDER, plan=2, prompt="poster") == [(256, 256), (512, 512)]

    def test_a_size_that_cannot_be_divided_is_refused_with_the_reason(self):
        decision = decide(self.STAGES, width=513, height=512)
        assert decision.chain == ()
        assert decision.refusal is Outcome.UNSUPPORTED
        assert "513x512 cannot be divided by 2" in decision.reason

    def test_a_model_that_cannot_make_so_many_pixels_is_out(self):
        decision = decide("default: {any_of: [faster, fast]}", width=1024, height=1024)
        assert [plan.models for plan in decision.chain] == [("fast",)]
        assert decision.rejected[0].outcome is Outcome.UNSUPPORTED

    def test_an_upscale_grows_the_image_that_came_with_the_request(self):
        upscaled = self.sizes(
            "default: {model: upscale_2x}", needs=Capability.UPSCALE, input_width=300, input_height=200
        )
        assert upscaled == [(600, 400)]

    def test_an_edit_keeps_the_size_of_its_input(self):
        assert self.sizes(
            "default: {model: fast}", needs=Capability.EDIT, input_width=300, input_height=200
        ) == [(300, 200)]


class TestRefusals:
    def test_nothing_that_can_is_unsupported(self):
        decision = decide("default: {model: upscale_2x}")
        assert (decision.refusal, decision.retry_after_s) == (Outcome.UNSUPPORTED, None)
        assert "upscale_2x cannot generate" in decision.reason

    def test_a_queue_that_is_too_long_is_capacity_and_says_when(self):
        decision = decide("default: {model: fast, max_latency_ms: 100}", busy(fast=4050))
        assert decision.refusal is Outcome.REFUSED_CAPACITY
        assert decision.retry_after_s == pytest.approx(4.0, abs=0.1)
        assert decision.fastest_ms == pytest.approx(4100)
        assert "the fastest would take about 4100 ms" in decision.reason

    def test_a_budget_no_idle_model_can_meet_is_the_budgets_fault(self):
        decision = decide("default: {model: hosted, max_latency_ms: 100}")
        assert (decision.refusal, decision.retry_after_s) == (Outcome.REFUSED_BUDGET, None)

    def test_an_open_breaker_says_when_to_come_back(self):
        state = ModelState(breaker_open=True, retry_after_s=7.0)
        decision = decide("default: {model: fast}", Snapshot({"fast": state}))
        assert (decision.refusal, decision.retry_after_s) == (Outcome.REFUSED_CAPACITY, 7.0)

    def test_a_model_without_replicas_is_passed_over(self):
        decision = decide(
            "default: {model: fast, fallback: [hosted]}", Snapshot({"fast": ModelState(available=False)})
        )
        assert [plan.models for plan in decision.chain] == [("hosted",)]

    def test_a_raster_stands_at_the_end_instead_of_a_refusal(self):
        decision = decide("default: {model: hosted, max_latency_ms: 100, raster_fallback: b.png}")
        assert (decision.chain, decision.raster, decision.refusal) == ((), "b.png", None)

    @pytest.mark.parametrize(
        ("snapshot", "budget_ms", "words"),
        [
            (IDLE, None, ("typography_focused",)),
            (busy(typography_focused=900), 500, None),
            (Snapshot({"typography_focused": ModelState(available=False)}), None, None),
            (Snapshot({"typography_focused": ModelState(breaker_open=True)}), None, None),
        ],
    )
    def test_words_are_planned_over_a_raster_where_they_can_be_set_in_time(self, snapshot, budget_ms, words):
        raster = "{asset: b.png, typeset: typography_focused}"
        decision = decide(
            f"default: {{model: hosted, raster_fallback: {raster}}}", snapshot, max_latency_ms=budget_ms
        )
        assert decision.raster == "b.png"
        assert (decision.raster_words and decision.raster_words.models) == words

    @pytest.mark.parametrize(
        "text", ["default: {model: hosted, deterministic: true}", "default: {model: hosted}"]
    )
    def test_only_deterministic_models_serve_deterministic_requests(self, text):
        decision = decide(text, deterministic="true" not in text)
        assert decision.refusal is Outcome.UNSUPPORTED
        assert decision.deterministic

    def test_a_model_nothing_is_known_of_is_allowed(self):
        assert decide(
            "default: {model: unknown_cost, max_latency_ms: 1}".replace("unknown_cost", "fast"),
            Snapshot({"fast": ModelState(observed=1)}),
        ).chain


class TestPrediction:
    def test_images_of_one_request_share_what_runs_side_by_side(self):
        state = {"observed": 9, "overhead_ms": 10.0, "step_ms": 5.0, "step_ms_per_megapixel": 20.0}
        for parallelism, rounds in ((1.0, 4), (2.0, 2), (8.0, 1)):
            snapshot = Snapshot({"fast": ModelState(**state, parallelism=parallelism, wait_ms=100)})
            plan = decide("default: {model: fast}", snapshot, n=4, steps=10, width=1000, height=500).chain[0]
            assert plan.predicted_ms == pytest.approx(100 + rounds * (10 + 10 * (5 + 20 * 0.5)))

    def test_predictions_that_are_often_wrong_keep_their_distance_from_the_budget(self):
        state = {"observed": 9, "overhead_ms": 100.0, "wait_ms": 300.0}
        text = "default: {model: fast, max_latency_ms: 450}"
        assert decide(text, Snapshot({"fast": ModelState(**state)})).chain
        unsure = decide(text, Snapshot({"fast": ModelState(**state, error_ratio=0.2)}))
        assert unsure.refusal is Outcome.REFUSED_CAPACITY
        assert "about 400 ms of 450 ms, 300 ms of it waiting, up to 93 ms more" in unsure.reason


class TestTerms:
    def test_normalize_follows_every_candidate_once(self):
        text = (
            "default: {stages: [fast, cleaner], normalize: cleaner, "
            "fallback: [hosted, {stages: [faster, upscale_2x]}]}"
        )
        assert [plan.models for plan in decide(text).chain] == [
            ("fast", "cleaner"),
            ("hosted", "cleaner"),
            ("faster", "upscale_2x", "cleaner"),
        ]

    def test_limits_name_what_they_count(self):
        text = (
            "default: {name: d, model: fast, limits: {per: tenant, concurrency: 2}}\n"
            'tenants: {"*": {requests_per_minute: 9}, acme: {weight: 3, usd_per_hour: 1.5}}'
        )
        acme, other = decide(text, tenant="acme"), decide(text, tenant="x")
        assert acme.limits == (
            Limit("route d tenant acme", concurrency=2),
            Limit("tenant acme", usd_per_hour=1.5),
        )
        assert other.limits[1] == Limit("tenant x", requests_per_minute=9)
        assert (acme.weight, other.weight) == (3.0, 1.0)


class TestVectors:
    def test_only_a_chain_that_ends_in_shapes_can_answer(self):
        decision = decide("default: {model: fast, fallback: [typography_focused]}", vector=True)
        assert [plan.models for plan in decision.chain] == [("typography_focused",)]
        refused = decide("default: {stages: [typography_focused, upscale_2x]}", vector=True)
        assert (refused.chain, refused.refusal) == ((), Outcome.UNSUPPORTED)
        assert "upscale_2x makes no SVG" in refused.reason

    def test_a_baked_picture_is_no_answer(self):
        decision = decide("default: {model: fast, raster_fallback: sale.png}", vector=True)
        assert (decision.raster, decision.refusal) == (None, Outcome.UNSUPPORTED)

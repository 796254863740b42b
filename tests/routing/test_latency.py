import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routing.breaker import Breaker, BreakerSettings
from routing.latency import REPORT_LIFETIME_S, LatencyModel
from routing.prediction import run_ms
from routing.regression import ForgetfulFit
from routing.types import ModelState, Outcome
from tests.routing.builders import facts

MODEL = facts("m", prior_overhead_ms=10.0, prior_step_ms=5.0, prior_step_ms_per_megapixel=50.0)


def learner(**parallelism: int) -> LatencyModel:
    return LatencyModel({"m": MODEL}, parallelism)


def actual_ms(steps: int, side: int) -> float:
    return 30 + steps * (3 + 20 * side * side / 1e6)


class TestLearning:
    def test_the_priors_predict_until_something_is_observed(self):
        state = learner().snapshot(0.0).models["m"]
        assert state.observed == 0
        assert run_ms(MODEL, state, 4, 1000, 1000, 1) == pytest.approx(10 + 4 * (5 + 50))

    def test_coefficients_are_found_from_different_sizes_and_steps(self):
        model, noise = learner(), random.Random(1)
        for at in range(200):
            steps, side = noise.choice([4, 8, 20]), noise.choice([256, 512, 1024])
            model.observe("m", steps, side, side, actual_ms(steps, side) * noise.uniform(0.98, 1.02), 0, at)
        state = model.snapshot(200.0).models["m"]
        assert state.overhead_ms == pytest.approx(30, rel=0.1)
        assert state.step_ms == pytest.approx(3, rel=0.15)
        assert state.step_ms_per_megapixel == pytest.approx(20, rel=0.05)
        assert model.error("m").p95_ratio < 0.05

    def test_one_kind_of_request_is_predicted_right_though_it_says_little(self):
        model = learner()
        for at in range(20):
            model.observe("m", 10, 512, 512, 200.0, 0, at)
        predicted = run_ms(MODEL, model.snapshot(20.0).models["m"], 10, 512, 512, 1)
        assert predicted == pytest.approx(200, rel=0.01)

    def test_a_model_that_becomes_slower_is_followed(self):
        model = learner()
        for at in range(300):
            model.observe("m", 10, 512, 512, 100.0 if at < 100 else 300.0, 0, at)
        predicted = run_ms(MODEL, model.snapshot(300.0).models["m"], 10, 512, 512, 1)
        assert predicted == pytest.approx(300, rel=0.05)

    def test_a_model_without_steps_is_learned_too(self):
        model = learner()
        for at in range(20):
            model.observe("m", None, 512, 512, 40.0, 0, at)
        assert run_ms(MODEL, model.snapshot(20.0).models["m"], 1, 512, 512, 1) == pytest.approx(40, rel=0.01)

    def test_errors_are_of_predictions_made_before(self):
        model = learner()
        model.observe("m", 1, 512, 512, 100.0, 0, 0)
        assert model.error("m").count == 0
        model.observe("m", 1, 512, 512, 200.0, 40, 1)
        assert model.error("m").count == 1
        assert model.error("m").mean_ratio == pytest.approx(0.5, abs=0.01)
        assert model.error("m").wait_p95_ms == 0

    @settings(max_examples=50)
    @given(
        st.lists(
            st.tuples(st.integers(1, 50), st.sampled_from([64, 256, 1024]), st.floats(0, 1e6)),
            min_size=1,
            max_size=30,
        )
    )
    def test_no_prediction_is_ever_negative(self, observations):
        model = learner()
        for at, (steps, side, took_ms) in enumerate(observations):
            model.observe("m", steps, side, side, took_ms, 0, at)
        state = model.snapshot(100.0).models["m"]
        assert min(state.overhead_ms, state.step_ms, state.step_ms_per_megapixel) >= 0


class TestFit:
    def test_an_exact_plane_is_found(self):
        fit = ForgetfulFit((0.0, 0.0, 0.0), prior_weight=1e-9)
        for x1, x2 in [(1, 0.5), (2, 0.1), (5, 3), (7, 2), (3, 9)]:
            fit.add((1.0, x1, x2), 4 + 2 * x1 + 3 * x2, 4 + 2 * x1 + 3 * x2)
        assert fit.solve() == pytest.approx((4, 2, 3), rel=1e-3)

    def test_what_would_be_negative_is_zero_and_the_rest_fits(self):
        fit = ForgetfulFit((0.0, 0.0, 0.0), prior_weight=1e-9)
        for x1 in (1.0, 2.0, 3.0, 4.0):
            fit.add((1.0, x1, 0.0), 10 - x1, 10 - x1)
        constant, slope, _ = fit.solve()
        assert slope == 0
        assert 6 < constant < 9

    def test_without_observations_nothing_is_claimed(self):
        assert ForgetfulFit((0.0, 0.0, 0.0)).solve() == (0.0, 0.0, 0.0)


class TestQueue:
    def wait(self, model: LatencyModel, now_s: float) -> float:
        return model.snapshot(now_s).models["m"].wait_ms

    def test_what_is_sent_fills_the_places_and_then_the_queue(self):
        model = learner(m=2)
        assert self.wait(model, 0.0) == 0
        model.sent("m", 100, 0.0)
        assert self.wait(model, 0.0) == 0
        model.sent("m", 300, 0.0)
        assert self.wait(model, 0.0) == pytest.approx(100)
        model.sent("m", 50, 0.0)
        assert self.wait(model, 0.0) == pytest.approx(150)

    def test_a_predicted_queue_drains_with_time(self):
        model = learner()
        model.sent("m", 100, 0.0)
        assert self.wait(model, 0.04) == pytest.approx(60)
        assert self.wait(model, 1.0) == 0

    def test_a_report_corrects_the_prediction_and_new_calls_add_to_it(self):
        model = learner()
        model.sent("m", 1000, 0.0)
        model.report("m", ModelState(wait_ms=200), 0.1)
        assert self.wait(model, 0.1) == pytest.approx(200)
        model.sent("m", 50, 0.1)
        assert self.wait(model, 0.1) == pytest.approx(250)
        model.report("m", ModelState(wait_ms=0), 0.2)
        assert self.wait(model, 0.2) == 0

    def test_work_that_ends_late_makes_the_queue_behind_it_later(self):
        model = learner()
        for _ in range(3):
            model.sent("m", 100, 0.0)
        model.observe("m", 1, 512, 512, 130.0, 0, 0.13)
        assert self.wait(model, 0.13) == pytest.approx(200)
        model.observe("m", 1, 512, 512, 90.0, 0, 0.22)
        assert self.wait(model, 0.22) == pytest.approx(100)

    def test_a_call_that_fails_at_once_leaves_no_work_behind(self):
        model = learner()
        first_ends_s = model.sent("m", 100, 0.0)
        second_ends_s = model.sent("m", 100, 0.0)
        model.failed("m", second_ends_s, 0.01)
        assert self.wait(model, 0.01) == pytest.approx(90)
        model.failed("m", first_ends_s, 0.01)
        assert self.wait(model, 0.01) == pytest.approx(0)

    def test_a_call_that_fails_late_has_used_the_time_it_was_predicted_to(self):
        model = learner()
        first_ends_s = model.sent("m", 100, 0.0)
        model.sent("m", 100, 0.0)
        model.failed("m", first_ends_s, 0.1)
        assert self.wait(model, 0.1) == pytest.approx(100)

    def test_replicas_are_averaged(self):
        model = learner(m=2)
        model.report("m", ModelState(wait_ms=100), 0.0, replica="1")
        model.report("m", ModelState(wait_ms=300), 0.0, replica="2")
        assert self.wait(model, 0.0) == pytest.approx(200)

    def test_places_may_come_and_go(self):
        model = learner()
        model.sent("m", 100, 0.0)
        model.set_parallelism("m", 2, 0.0)
        assert self.wait(model, 0.0) == 0
        model.set_parallelism("m", 1, 0.0)
        assert self.wait(model, 0.0) == pytest.approx(100)


class TestReports:
    REPORT = ModelState(overhead_ms=7, step_ms=2, step_ms_per_megapixel=1, observed=50)

    def test_what_a_replica_measured_itself_is_preferred(self):
        model = learner()
        model.observe("m", 1, 512, 512, 500.0, 0, 0)
        model.report("m", self.REPORT, 1.0)
        assert model.snapshot(1.0).models["m"].overhead_ms == 7

    def test_a_report_that_is_not_renewed_is_forgotten(self):
        model = learner()
        model.report("m", self.REPORT, 0.0)
        later = model.snapshot(REPORT_LIFETIME_S + 0.1).models["m"]
        assert (later.observed, later.overhead_ms) == (0, 10.0)

    def test_replicas_count_by_what_they_have_seen(self):
        model = learner()
        model.report("m", ModelState(overhead_ms=10, observed=30), 0.0, replica="1")
        model.report("m", ModelState(overhead_ms=50, observed=10), 0.0, replica="2")
        assert model.snapshot(0.0).models["m"].overhead_ms == pytest.approx(20)


def test_the_error_of_predictions_is_known():
    model, noise = learner(), random.Random(3)
    for at in range(400):
        model.observe("m", 10, 512, 512, 200 * noise.uniform(0.8, 1.2), 0, at)
    assert model.snapshot(400.0).models["m"].error_ratio == pytest.approx(0.2 / 3**0.5, rel=0.4)


def test_work_that_waits_before_it_is_sent_counts_with_what_was_sent():
    model = learner()
    model.set_parallelism("m", 2, 0.0)
    model.sent("m", 100, 0.0)
    model.sent("m", 100, 0.0)
    state = model.snapshot(0.0, costs_ahead_ms={"m": [100.0, 100.0, 100.0]}.__getitem__).models["m"]
    assert state.wait_ms == pytest.approx(200), "the third starts beside the second's end"


def test_a_snapshot_knows_breakers_and_absence():
    model = learner()
    breaker = Breaker(BreakerSettings(min_calls=1, cooldown_s=4))
    breaker.record(Outcome.MODEL_ERROR, 0.0)
    model.set_available("m", False)
    state = model.snapshot(1.0, {"m": breaker}).models["m"]
    assert state.breaker_open
    assert not state.available
    assert state.retry_after_s == pytest.approx(3.0)

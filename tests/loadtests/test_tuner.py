import json

import pytest

from deployments.spec import Autoscaling, WorkScaling
from loadtests.arrivals import on_off, schedule
from loadtests.simulator.world import parse_world
from loadtests.traffic import Traffic
from loadtests.tuner import (
    Settings,
    Trial,
    chart_values,
    explanation,
    judge,
    pareto_front,
    recommend,
    tune,
    values_of,
)
from loadtests.workload import Shot, calls
from tests.helm.rendering import example, merged, render

WORLD = parse_world(
    """
gpus: 6
models:
  only: {step_ms: 50, default_steps: 10, num_gpus: 1, cold_start_s: 5, max_ongoing_requests: 1,
         max_queued_requests: -1,
         autoscaling: {min_replicas: 3, max_replicas: 6, target_ongoing_requests: 1}}
policy: |
  model_routing: []
  default: {model: only, max_latency_ms: 3000}
"""
)
SETTINGS = Settings(WORLD.models["only"].autoscaling)


def traffic(duration_s=600.0):
    profile = on_off(4, 0.1, on_s=60, off_s=120, duration_s=duration_s)
    return Traffic(list(calls(schedule(profile, seed=1), [Shot("x", ["y"])])), duration_s)


def trial(gpu_s, violation_ratio):
    return Trial(SETTINGS, gpu_s, violation_ratio)


def test_the_front_holds_what_nothing_beats_in_both():
    trials = [trial(5, 0.5), trial(1, 0.9), trial(3, 0.5), trial(4, 0.2), trial(6, 0.2)]
    assert [(each.gpu_s, each.violation_ratio) for each in pareto_front(trials)] == [
        (1, 0.9),
        (3, 0.5),
        (4, 0.2),
    ]


def test_the_cheapest_that_keeps_the_promise_is_recommended():
    baseline, trials = trial(10, 0.0), [trial(1, 0.9), trial(4, 0.05), trial(6, 0.01)]
    assert recommend(baseline, trials, 0.05).recommended.gpu_s == 4
    assert recommend(baseline, trials, 0.001).recommended is baseline
    hopeless = recommend(trial(10, 0.5), trials, 0.0)
    assert (hopeless.recommended.gpu_s, hopeless.keeps_promise) == (6, False)


def test_traffic_is_split_in_time():
    first, rest = traffic(600).split(0.7)
    assert (first.duration_s, rest.duration_s) == pytest.approx((420, 180))
    assert len(first.calls) + len(rest.calls) == len(traffic(600).calls)
    assert all(0 <= call.at_s < 180 for call in rest.calls)


def test_a_judgement_is_of_the_settings_given():
    wasteful = judge(WORLD, "only", SETTINGS, traffic(), seeds=[0])
    lone = Settings(SETTINGS.autoscaling.model_copy(update={"min_replicas": 1, "max_replicas": 1}))
    starved = judge(WORLD, "only", lone, traffic(), seeds=[0, 1])
    assert starved.gpu_s < wasteful.gpu_s / 2
    assert starved.violation_ratio > wasteful.violation_ratio


@pytest.mark.slow
def test_tuning_saves_gpu_time_at_the_promise_and_does_so_twice_the_same():
    pytest.importorskip("optuna", reason="optuna is not installed")
    found = [tune(WORLD, "only", traffic(), max_violation_ratio=0.05, trials=12) for _ in range(2)]
    assert found[0].recommended == found[1].recommended
    assert found[0].keeps_promise
    assert found[0].recommended.violation_ratio <= 0.05
    assert found[0].recommended.gpu_s < found[0].baseline.gpu_s
    assert found[0].front[-1].gpu_s >= found[0].front[0].gpu_s
    assert "autoscaling" in values_of(found[0].recommended)


def test_the_explanation_says_what_bound():
    baseline, trials = trial(10 * 3600, 0.0), [trial(3600, 0.9), trial(4 * 3600, 0.05)]
    bound = explanation(recommend(baseline, trials, 0.05), 0.05)
    assert "4.0 GPU hours" in bound
    assert "the next cheaper settings need 1.0 GPU hours and break it with 90.00%" in bound
    assert "Nothing tried is cheaper" in explanation(recommend(baseline, trials, 0.95), 0.95)
    assert explanation(recommend(trial(1, 0.5), trials, 0.0), 0.0).startswith("Nothing tried keeps")


@pytest.mark.parametrize("work", [None, WorkScaling(target_work_s=3)])
def test_the_chart_takes_the_settings(work):
    values = example("one-a100")
    name = next(name for name, each in values["models"].items() if each.get("num_gpus"))
    scaling = Autoscaling(min_replicas=1, max_replicas=2, downscale_delay_s=77)
    overlay = chart_values(name, Trial(Settings(scaling, work), 1.0, 0.0))
    [service] = [each for each in render(merged(values, overlay)) if each["kind"] == "RayService"]
    shown = json.dumps(service)
    assert "77" in shown
    assert ("target_work_s" in shown) == (work is not None)

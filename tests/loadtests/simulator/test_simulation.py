import numpy as np
import pytest

from loadtests.arrivals import Spacing, constant, schedule
from loadtests.report.page import report_page
from loadtests.simulator.simulation import simulate
from loadtests.simulator.world import WorldError, load_world, parse_world
from loadtests.workload import Shot, calls

ONE = """
models:
  only: {step_ms: 100, default_steps: 1, max_ongoing_requests: 1, max_queued_requests: -1}
"""
TWO = """
gpus: 2
models:
  creative:
    {step_ms: 10, step_ms_per_megapixel: 40, overhead_ms: 40, max_batch: 4, default_steps: 20, num_gpus: 0.5,
     cold_start_s: 5, max_queued_requests: 4,
     autoscaling: {min_replicas: 1, max_replicas: 4, upscale_delay_s: 2, downscale_delay_s: 20,
                   look_back_period_s: 5}}
  typesetter: {step_ms: 20}
policy: |
  model_routing:
    - pattern: ".*badge.*"
      model: typesetter
      max_latency_ms: 300
    - pattern: ".*poster.*"
      model: creative
      max_latency_ms: 4000
      fallback: [typesetter]
  default: {model: creative}
"""
BADGE, POSTER = Shot("badge", ["a badge"]), Shot("poster", ["a poster"], size="512x512")


def run(text, shots, rps, duration_s, seed=1, spacing=Spacing.POISSON):
    due = calls(schedule(constant(rps, duration_s), spacing, seed), shots, seed)
    return simulate(parse_world(text), due, duration_s, seed)


def test_a_lone_server_waits_as_queueing_theory_says():
    """Pollaczek-Khinchine for fixed service times: mean wait = s * load / (2 * (1 - load))."""
    result = run(ONE, [Shot("x", ["y"])], rps=7, duration_s=4_000)
    wait_ms = result.requests.latency_ms.mean() - 100
    assert wait_ms == pytest.approx(100 * 0.7 / (2 * 0.3), rel=0.1)


def test_every_call_ends_once_and_the_same_seed_gives_the_same_result():
    first, second = (run(TWO, [BADGE, POSTER], rps=8, duration_s=300) for _ in range(2))
    assert len(first.requests) == len(schedule(constant(8, 300), seed=1))
    for column in ("at_s", "latency_ms", "model", "outcome"):
        assert np.array_equal(getattr(first.requests, column), getattr(second.requests, column))
    assert first.replicas == second.replicas
    other = run(TWO, [BADGE, POSTER], rps=8, duration_s=300, seed=2)
    assert not np.array_equal(first.requests.latency_ms[:50], other.requests.latency_ms[:50])


def test_requests_go_where_the_policy_says():
    result = run(TWO, [BADGE, POSTER], rps=2, duration_s=60)
    names = result.requests.names
    pairs = {
        (names[shot], names[model])
        for shot, model in zip(result.requests.shot, result.requests.model, strict=True)
    }
    assert pairs == {("badge", "typesetter"), ("poster", "creative")}


def test_an_idle_replica_takes_what_the_model_takes():
    result = run(TWO, [POSTER], rps=0.2, duration_s=200, spacing=Spacing.EVEN)
    step_ms = 10 + 40 * 512 * 512 / 1e6
    assert result.requests.latency_ms == pytest.approx(20 * step_ms + 40)


def test_load_brings_replicas_as_far_as_gpus_reach_and_its_end_takes_them_away():
    crowded = TWO.replace("gpus: 2", "gpus: 1")
    wide, narrow = (run(text, [POSTER], rps=30, duration_s=120) for text in (TWO, crowded))
    assert max(count for _, count in wide.replicas["creative"]) == 4
    assert max(count for _, count in narrow.replicas["creative"]) == 2
    substituted = [result.tally().total.models["typesetter"] for result in (wide, narrow)]
    assert substituted[0] < substituted[1]
    assert wide.total_gpu_s > narrow.total_gpu_s


def test_gpu_time_counts_from_placing_to_leaving():
    steady = TWO.replace("min_replicas: 1, max_replicas: 4", "min_replicas: 2, max_replicas: 2")
    result = run(steady, [BADGE], rps=1, duration_s=100)
    assert result.gpu_s["creative"] == pytest.approx(2 * 0.5 * 100, rel=0.01)
    assert result.gpu_s["typesetter"] == 0


def test_a_replica_counts_after_its_cold_start():
    result = run(TWO, [POSTER], rps=20, duration_s=60)
    grown_s = next(at_s for at_s, count in result.replicas["creative"] if count > 1)
    assert grown_s >= 2 + 5


def test_what_is_too_much_falls_back_inside_the_budget():
    crowded = TWO.replace("max_replicas: 4", "max_replicas: 1")
    result = run(crowded, [POSTER], rps=30, duration_s=60)
    summary = result.summary("crowded", 1)
    assert summary["total"]["models"]["typesetter"] > 100
    assert summary["total"]["goodput_ratio"] > 0.9


def test_without_a_fallback_it_is_refused():
    alone = TWO.replace("      fallback: [typesetter]\n", "").replace("max_replicas: 4", "max_replicas: 1")
    result = run(alone, [POSTER], rps=30, duration_s=60)
    outcomes = result.summary("alone", 1)["total"]["outcomes"]
    assert sum(outcomes.values()) == len(result.requests)
    assert set(outcomes) - {"ok"} <= {"refused_capacity", "refused_budget", "deadline_exceeded"}
    assert outcomes["ok"] < len(result.requests) / 2


def test_a_request_for_several_images_waits_for_the_last():
    pair = run(ONE, [Shot("x", ["y"], n=2)], rps=0.1, duration_s=100, spacing=Spacing.EVEN)
    assert pair.requests.latency_ms == pytest.approx(200)


SLEEPY = TWO.replace("min_replicas: 1, max", "min_replicas: 0, max")


def test_scale_to_zero_starts_again_on_a_request():
    result = run(SLEEPY, [Shot("free", ["no budget"])], rps=0.01, duration_s=400, spacing=Spacing.EVEN)
    assert [count for _, count in result.replicas["creative"]].count(1) == 4
    assert (result.requests.latency_ms > 5000).all()
    assert result.requests.ok.all()


def test_who_waits_for_a_cold_start_gives_up_at_the_deadline():
    alone = SLEEPY.replace("      fallback: [typesetter]\n", "")
    result = run(alone, [POSTER], rps=0.01, duration_s=400, spacing=Spacing.EVEN)
    assert result.requests.latency_ms == pytest.approx(4000)
    assert not result.requests.ok.any()


def test_the_report_shows_a_simulation():
    page = report_page(run(TWO, [BADGE, POSTER], rps=8, duration_s=120).summary("simulated", 1))
    assert "Replicas over time" in page


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("models: {}", "at least 1"),
        ("models:\n  a: {stepms: 3}", r"world:2:7: models\.a\.stepms"),
        ("models: {A: {}}", "models"),
    ],
)
def test_a_world_that_makes_no_sense_is_told_where(text, message):
    with pytest.raises(WorldError, match=message):
        parse_world(text)


def test_a_policy_file_is_found_beside_the_world_and_checked(tmp_path):
    (tmp_path / "policy.yaml").write_text("model_routing: []\ndefault: {model: missing}\n")
    path = tmp_path / "world.yaml"
    path.write_text("models: {only: {step_ms: 1}}\npolicy_file: policy.yaml\n")
    with pytest.raises(WorldError, match="missing"):
        load_world(path)
    (tmp_path / "policy.yaml").write_text("model_routing: []\ndefault: {model: only}\n")
    assert load_world(path).engine().decide is not None

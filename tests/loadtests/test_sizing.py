import json

import pytest
from click.testing import CliRunner

from loadtests.arrivals import constant, schedule
from loadtests.simulator.world import parse_world
from loadtests.sizing import Kind, capacity, repeated
from loadtests.traffic import Traffic
from loadtests.workload import Shot, calls
from serve.cli.capacity import capacity_command

TEXT = """
models:
  only: {step_ms: 100, default_steps: 10, num_gpus: 0.5, max_queued_requests: -1, max_ongoing_requests: 1,
         autoscaling: {min_replicas: 8, max_replicas: 8}}
policy: |
  model_routing: []
  default: {model: only, max_latency_ms: 4000}
"""
WORLD = parse_world(TEXT)


def traffic(rate=3.0, duration_s=120.0):
    return Traffic(list(calls(schedule(constant(rate, duration_s), seed=1), [Shot("x", ["y"])])), duration_s)


def answer(**options):
    kinds = options.pop("kinds", [Kind("a", 1.0, 2.0)])
    return capacity(WORLD, traffic(), kinds, max_violation_ratio=0.02, **options)[0]


def test_the_fewest_that_keep_the_promise_are_found_and_one_fewer_breaks_it():
    found = answer()
    # Three requests of a second each second want three replicas of half a GPU, and some room.
    assert found.enough.gpus in (2, 3)
    fewer = [probe for probe in found.probes if probe.gpus == found.enough.gpus - 1]
    assert fewer[0].violation_ratio > 0.02
    assert found.enough.usd_per_hour == 2.0 * found.enough.gpus


def test_twice_the_load_on_the_same_gpus_is_worse():
    found = answer(loads=(2.0,))
    assert [(probe.load, probe.gpus) for probe in found.more] == [(2.0, found.enough.gpus)]
    assert found.more[0].p99_ms > 1.5 * found.enough.p99_ms
    assert found.more[0].violation_ratio > found.enough.violation_ratio


def test_a_faster_kind_needs_fewer():
    slow, fast = capacity(
        WORLD, traffic(), [Kind("slow", 0.8), Kind("fast", 3.0)], max_violation_ratio=0.02, loads=()
    )
    assert fast.enough.gpus == 1
    assert slow.enough.gpus >= 2 * fast.enough.gpus


def test_what_the_budget_does_not_buy_is_not_tried():
    found = answer(usd_per_hour=3.9)
    assert found.enough is None
    assert [probe.gpus for probe in found.probes] == [1]
    assert answer(usd_per_hour=1.0).probes == []


@pytest.mark.parametrize("load", [0.5, 2.0, 2.5])
def test_repeated_traffic_is_so_many_times_as_much_in_the_same_time(load):
    once = traffic(rate=20)
    more = repeated(once, load)
    assert len(more.calls) == pytest.approx(load * len(once.calls), rel=0.05)
    times = [call.at_s for call in more.calls]
    assert times == sorted(times)
    assert times[0] >= 0
    assert times[-1] <= once.duration_s
    assert repeated(once, load) == more


@pytest.fixture
def files(tmp_path):
    (tmp_path / "world.yaml").write_text(TEXT)
    (tmp_path / "load.yaml").write_text(
        "arrivals: [{kind: constant, rps: 3, duration_s: 60}]\nshots: [{name: x, prompts: [y]}]\n"
    )
    return [str(tmp_path / "world.yaml"), str(tmp_path / "load.yaml")]


def test_the_command_answers_in_a_table_json_and_a_page(files, tmp_path):
    page, data = tmp_path / "page.html", tmp_path / "data.json"
    options = ["--kind", "h100=1:3.5", "--kind", "l4=0.2:0.8", "--html", str(page), "--json", str(data)]
    result = CliRunner().invoke(capacity_command, [*files, *options], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "h100" in result.output
    answers = json.loads(data.read_text())
    assert [each["kind"]["name"] for each in answers] == ["h100", "l4"]
    html = page.read_text()
    assert "<svg" in html
    assert "http" not in html.replace("http://www.w3.org", "")


def test_it_fails_where_nothing_allowed_is_enough(files):
    result = CliRunner().invoke(capacity_command, [*files, "--max-gpus", "1", "--violations", "0"])
    assert result.exit_code == 1
    assert "1 GPUs, the most allowed, are not enough" in result.output


@pytest.mark.parametrize("kind", ["h100", "=1", "h100=0", "h100=fast", "h100=1:-2"])
def test_a_kind_that_makes_no_sense_is_named(files, kind):
    result = CliRunner().invoke(capacity_command, [*files, "--kind", kind])
    assert result.exit_code == 2
    assert kind in result.output

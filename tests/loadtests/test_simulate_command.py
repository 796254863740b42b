import json

import pytest
import yaml
from click.testing import CliRunner

from serve.cli.simulate import simulate
from serve.cli.tune import tune_command

WORLD = """
gpus: 2
models:
  only: {step_ms: 50, default_steps: 4, num_gpus: 1, cold_start_s: 5, max_ongoing_requests: 1,
         max_queued_requests: -1, autoscaling: {min_replicas: 1, max_replicas: 2, target_ongoing_requests: 1}}
policy: |
  model_routing: []
  default: {model: only, max_latency_ms: 2000}
"""
SCENARIO = """
name: tiny
arrivals: [{kind: constant, rps: 2, duration_s: 300}]
shots: [{name: x, prompts: [y]}]
objectives: ["goodput_ratio>=0.9"]
"""


@pytest.fixture
def files(tmp_path):
    world, scenario = tmp_path / "world.yaml", tmp_path / "scenario.yaml"
    world.write_text(WORLD)
    scenario.write_text(SCENARIO)
    return str(world), str(scenario)


def test_a_simulation_is_printed_and_written(files, tmp_path):
    out, page = tmp_path / "out.json", tmp_path / "out.html"
    result = CliRunner().invoke(simulate, [*files, "--json", str(out), "--html", str(page)])
    assert result.exit_code == 0, result.output
    summary = json.loads(out.read_text())
    assert summary["total"]["offered"] > 500
    assert summary["replicas"]["only"][0] == [0.0, 1]
    assert summary["replicas"]["only"][-1][0] >= 300
    assert "Replicas over time" in page.read_text()
    assert "GPU hours" in result.output


def test_a_missed_objective_is_the_exit_status(files, tmp_path):
    (tmp_path / "scenario.yaml").write_text(SCENARIO.replace("rps: 2", "rps: 40"))
    result = CliRunner().invoke(simulate, files)
    assert result.exit_code == 1
    assert "missed" in result.output


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("world.yaml", "models: {a: {stepms: 1}}", "stepms"),
        ("scenario.yaml", "shots: []", "scenario.yaml:1"),
        (
            "scenario.yaml",
            "closed_loop: {clients: 1, duration_s: 1}\nshots: [{name: x, prompts: [y]}]",
            "not simulated",
        ),
    ],
)
def test_files_that_make_no_sense_are_named(files, tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    for command in (simulate, tune_command):
        options = ["--model", "only"] if command is tune_command else []
        result = CliRunner().invoke(command, [*files, *options])
        assert result.exit_code == 2
        assert message in result.output


@pytest.mark.slow
def test_tuned_settings_are_valid_and_judged_on_what_was_not_seen(files, tmp_path):
    pytest.importorskip("optuna", reason="optuna is not installed")
    out = tmp_path / "settings.yaml"
    result = CliRunner().invoke(
        tune_command, [*files, "--model", "only", "--trials", "6", "--out", str(out), "--violations", "0.5"]
    )
    assert result.exit_code == 0, result.output
    settings = yaml.safe_load(out.read_text())
    world = yaml.safe_load(WORLD)
    world["models"]["only"].update(settings)
    (tmp_path / "world.yaml").write_text(yaml.safe_dump(world))
    again = CliRunner().invoke(simulate, files)
    assert again.exit_code in (0, 1), again.output


def test_a_model_that_is_not_there_is_named(files):
    result = CliRunner().invoke(tune_command, [*files, "--model", "other"])
    assert result.exit_code == 2
    assert "it has only" in result.output

import numpy as np
import pytest

from loadtests.scenario import ScenarioError, load_scenario, parse_scenario

SHOTS = "shots: [{name: badge, prompts: [NEW]}]\n"


def test_phases_follow_each_other():
    scenario = parse_scenario(
        SHOTS
        + """
spacing: even
arrivals:
  - {kind: constant, rps: 2, duration_s: 5}
  - {kind: ramp, start_rps: 0, end_rps: 4, duration_s: 5}
  - {kind: spike, base_rps: 1, peak_rps: 10, before_s: 2, peak_s: 1, after_s: 2}
  - {kind: bursts, on_rps: 5, on_s: 1, off_s: 1, duration_s: 4}
"""
    )
    assert scenario.duration_s == 19
    assert np.histogram(scenario.times(), [0, 5, 10, 15, 19])[0].tolist() == [10, 10, 14, 10]


def test_a_trace_is_found_beside_the_scenario_and_cut_at_its_duration(tmp_path):
    (tmp_path / "trace.csv").write_text("arrival_s,task\n4,a\n2,b\n10,c\n30,d\n")
    path = tmp_path / "scenario.yaml"
    path.write_text(SHOTS + "trace: {file: trace.csv, time_scale: 0.5, start_s: 4, duration_s: 10}\n")
    assert load_scenario(path).times().tolist() == [0, 3]


@pytest.mark.parametrize(
    "trace",
    [
        "{file: no.csv, duration_s: 1}",
        "{file: t.csv, column: x, duration_s: 9}",
    ],
)
def test_a_trace_that_cannot_be_used_is_named(tmp_path, trace):
    (tmp_path / "t.csv").write_text("arrival_s\n1\n")
    path = tmp_path / "scenario.yaml"
    path.write_text(SHOTS + f"trace: {trace}\n")
    with pytest.raises(ScenarioError, match=r"no\.csv: cannot be read|t\.csv: no column x"):
        load_scenario(path).times()


ARRIVALS = "arrivals: [{kind: constant, rps: 1, duration_s: 1}]\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (ARRIVALS + SHOTS + "tpyo: 1", "scenario:3:1: tpyo: Extra inputs"),
        (
            ARRIVALS + "shots:\n  - name: a\n    prompts: [x]\n    sise: 8x8\n",
            r":5:5: shots\[0\]\.sise",
        ),
        (ARRIVALS + "shots: [{name: a, prompts: [x], size: 8by8}]", "size"),
        (ARRIVALS + "shots: []", "at least 1"),
        (ARRIVALS + "shots: [{name: a, prompts: []}]", "at least 1"),
        (ARRIVALS + "shots: [{name: a, prompts: [x], weight: 0}]", "every shot has weight 0"),
        (ARRIVALS + "shots: [{name: a, prompts: [x]}, {name: a, prompts: [y]}]", "same name"),
        (ARRIVALS + SHOTS + "objectives: [p99<=1]", "unknown metric p99"),
        (SHOTS, "exactly one of"),
        (ARRIVALS + SHOTS + "closed_loop: {clients: 1, duration_s: 1}", "exactly one of"),
        ("arrivals: [{kind: wave, rps: 1}]\n" + SHOTS, "wave"),
        ("arrivals: [{kind: constant, rps: 9999, duration_s: 9999}]\n" + SHOTS, "bounds.max_requests"),
        ("a: [", "not YAML"),
        ("", "scenario:1:1"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text, message):
    with pytest.raises(ScenarioError, match=message):
        parse_scenario(text)


def test_a_run_never_exceeds_its_bound_silently():
    scenario = parse_scenario(
        SHOTS + "arrivals: [{kind: constant, rps: 100, duration_s: 1}]\nbounds: {max_requests: 100}\n"
    )
    over = [seed for seed in range(20) if _exceeds(scenario.model_copy(update={"seed": seed}))]
    assert 0 < len(over) < 20


def _exceeds(scenario):
    try:
        return len(scenario.times()) > 100
    except ScenarioError:
        return True

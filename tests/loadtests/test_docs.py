"""What docs/loadtests.md shows works as shown."""

import re
from pathlib import Path

import pytest
import yaml

from deployments.autoscaling import autoscaling_config
from deployments.fakes import EchoSpec
from loadtests.scenario import parse_scenario
from loadtests.simulator.simulation import simulate
from loadtests.simulator.world import parse_world
from loadtests.slo import METRICS, RUN_METRICS
from loadtests.workload import calls

PAGE = (Path(__file__).parents[2] / "docs" / "loadtests.md").read_text()


def block(kind):
    return re.search(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)[1]


def test_the_scenario_and_the_world_of_the_page_run_together():
    scenario, world = parse_scenario(block("yaml scenario")), parse_world(block("yaml world"))
    due = calls(scenario.times(), scenario.mix(), scenario.seed)
    result = simulate(world, due, scenario.duration_s, scenario.seed)
    assert len(result.requests) == len(scenario.times()) > 1000
    assert set(result.tally().by_shot) == {"badge", "poster"}


def test_the_scaling_of_the_page_is_a_model_s():
    section = PAGE[PAGE.index("## Scaling on predicted work") :]
    document = yaml.safe_load(re.search(r"```yaml\n(.*?)```", section, re.DOTALL)[1])
    spec = EchoSpec(kind="echo", **document["models"]["creative"])
    assert autoscaling_config(spec.autoscaling, spec.work_scaling).policy.policy_kwargs["lead_s"] == 23


@pytest.mark.parametrize("metric", [*METRICS, *RUN_METRICS])
def test_every_metric_is_on_the_page(metric):
    assert metric in PAGE

"""`atelier simulate`: what the service would do with a load, in simulated time and without sending anything.

Exit status: 0 when every objective is met, 1 when one is missed, 2 for a wrong command line.
"""

import json
import time
from pathlib import Path

import click
from rich.console import Console

from loadtests.report.page import report_page
from loadtests.scenario import Scenario, ScenarioError, load_scenario
from loadtests.simulator.result import Result
from loadtests.simulator.simulation import simulate as run_simulation
from loadtests.simulator.world import World, WorldError, load_world
from loadtests.slo import judge
from loadtests.summary import verdicts_json
from loadtests.terminal import summary_view
from loadtests.workload import calls

_INPUT_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_OUTPUT_FILE = click.Path(dir_okay=False, writable=True, path_type=Path)


@click.command(name="simulate")
@click.argument("world_path", metavar="WORLD", type=_INPUT_FILE)
@click.argument("scenario_path", metavar="SCENARIO", type=_INPUT_FILE)
@click.option("--seed", type=click.IntRange(0), help="Instead of the scenario's.")
@click.option("--json", "json_path", type=_OUTPUT_FILE, help="Write the results here.")
@click.option("--html", "html_path", type=_OUTPUT_FILE, help="Write a report here.")
def simulate(
    world_path: Path, scenario_path: Path, seed: int | None, json_path: Path | None, html_path: Path | None
) -> None:
    """Simulate the models of WORLD under the load of SCENARIO (both YAML, docs/loadtests.md)."""
    world, scenario = _read(world_path, scenario_path)
    if seed is not None:
        scenario = scenario.model_copy(update={"seed": seed})
    started_s = time.perf_counter()
    result = _run(world, scenario)
    took_s = time.perf_counter() - started_s
    verdicts = judge(scenario.parsed_objectives(), result.tally())
    summary = {**result.summary(scenario.name, scenario.seed), "objectives": verdicts_json(verdicts)}
    console = Console()
    console.print(summary_view(summary))
    _print_scaling(console, world, result)
    console.print(f"Simulated {len(result.requests)} requests in {took_s:.1f} s.")
    if json_path is not None:
        json_path.write_text(json.dumps(summary, indent=1) + "\n")
    if html_path is not None:
        html_path.write_text(report_page(summary))
    if not all(verdict.met for verdict in verdicts):
        raise click.exceptions.Exit(1)


def _read(world_path: Path, scenario_path: Path) -> tuple[World, Scenario]:
    try:
        world, scenario = load_world(world_path), load_scenario(scenario_path)
    except (WorldError, ScenarioError) as error:
        raise click.UsageError(str(error)) from None
    if scenario.closed_loop is not None:
        raise click.UsageError(f"{scenario_path}: a closed loop is not simulated; give arrivals or a trace")
    return world, scenario


def _run(world: World, scenario: Scenario) -> Result:
    try:
        times = scenario.times()
    except ScenarioError as error:
        raise click.UsageError(str(error)) from None
    due = calls(times, scenario.mix(), scenario.seed)
    return run_simulation(world, due, scenario.duration_s, scenario.seed)


def _print_scaling(console: Console, world: World, result: Result) -> None:
    for name in world.models:
        ups, downs = result.scalings[name]
        console.print(
            f"{name}: {result.replica_s(name) / result.duration_s:.2f} replicas on average, "
            f"scaled up {ups} and down {downs} times, {result.gpu_s[name] / 3600:.3f} GPU hours"
        )

"""`atelier tune`: autoscaling settings for a model, found by simulation and judged on traffic not seen.

Exit status: 0 when the promise is kept, 1 when no settings keep it, 2 for a wrong command line.
"""

from pathlib import Path

import click
import yaml
from rich.console import Console
from rich.table import Table

from loadtests.report.plans import share, tuning_page
from loadtests.scenario import Scenario, ScenarioError, load_scenario
from loadtests.simulator.world import World, WorldError, load_world
from loadtests.traffic import Traffic
from loadtests.tuner import Trial, chart_values, explanation, judge, tune, values_of
from loadtests.workload import calls

_INPUT_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_OUTPUT_FILE = click.Path(dir_okay=False, writable=True, path_type=Path)


@click.command(name="tune")
@click.argument("world_path", metavar="WORLD", type=_INPUT_FILE)
@click.argument("scenario_path", metavar="SCENARIO", type=_INPUT_FILE)
@click.option("--model", required=True, help="The model of WORLD whose scaling is tuned.")
@click.option(
    "--violations",
    default=0.01,
    show_default=True,
    type=click.FloatRange(0, 1),
    help="Share of requests that may miss their budget.",
)
@click.option("--trials", default=60, show_default=True, type=click.IntRange(1, 10_000))
@click.option(
    "--seeds", default=1, show_default=True, type=click.IntRange(1, 20), help="Simulations a trial."
)
@click.option(
    "--train-share",
    default=0.7,
    show_default=True,
    type=click.FloatRange(0.1, 0.9),
    help="Of the time; the rest judges.",
)
@click.option("--out", "out_path", type=_OUTPUT_FILE, help="Write the recommended settings here (YAML).")
@click.option("--values", "values_path", type=_OUTPUT_FILE, help="Write them as values for the Helm chart.")
@click.option("--html", "html_path", type=_OUTPUT_FILE, help="Write a report here.")
def tune_command(
    world_path: Path,
    scenario_path: Path,
    model: str,
    violations: float,
    trials: int,
    seeds: int,
    train_share: float,
    out_path: Path | None,
    values_path: Path | None,
    html_path: Path | None,
) -> None:
    """Find how MODEL should scale under the load of SCENARIO for the least GPU time."""
    world, traffic = read_inputs(world_path, scenario_path)
    if model not in world.models:
        raise click.UsageError(f"{world_path} has no model {model}; it has {', '.join(world.models)}")
    tuned_on, judged_on = traffic.split(train_share)
    numbers = range(seeds)
    try:
        found = tune(world, model, tuned_on, max_violation_ratio=violations, trials=trials, seeds=numbers)
    except ImportError:
        raise click.UsageError("tuning needs optuna: pip install optuna") from None
    console = Console()
    table = Table(title=f"{model}: {len(tuned_on.calls)} requests tuned on, {len(judged_on.calls)} judged on")
    for heading in ("", "violations", "GPU hours", "violations, unseen", "GPU hours, unseen"):
        table.add_column(heading, justify="right" if heading else "left")
    rows = [("as it is", found.baseline), ("recommended", found.recommended)]
    rows += [(f"front {index}", trial) for index, trial in enumerate(found.front, 1)]
    judged = [(name, trial, judge(world, model, trial.settings, judged_on, numbers)) for name, trial in rows]
    for name, trial, unseen in judged:
        table.add_row(name, *_figures(trial), *_figures(unseen))
    console.print(table)
    why = explanation(found, violations)
    console.print(why, markup=False)
    text = yaml.safe_dump(dict(values_of(found.recommended)), sort_keys=False)
    console.print(text, markup=False)
    if out_path is not None:
        out_path.write_text(text)
    if values_path is not None:
        values_path.write_text(yaml.safe_dump(dict(chart_values(model, found.recommended)), sort_keys=False))
    if html_path is not None:
        html_path.write_text(tuning_page(model, found, judged, why))
    if not found.keeps_promise:
        console.print(f"Nothing tried keeps violations at {violations:.2%}.", style="red")
        raise click.exceptions.Exit(1)


def _figures(trial: Trial) -> tuple[str, str]:
    return share(trial), f"{trial.gpu_s / 3600:.2f}"


def read_inputs(world_path: Path, scenario_path: Path) -> tuple[World, Traffic]:
    """Raises UsageError for files that make no sense, and for a load that is not known in advance."""
    try:
        world, scenario = load_world(world_path), load_scenario(scenario_path)
        return world, _traffic(scenario, scenario_path)
    except (WorldError, ScenarioError) as error:
        raise click.UsageError(str(error)) from None


def _traffic(scenario: Scenario, path: Path) -> Traffic:
    if scenario.closed_loop is not None:
        raise click.UsageError(f"{path}: a closed loop is not simulated; give arrivals or a trace")
    due = calls(scenario.times(), scenario.mix(), scenario.seed)
    return Traffic(list(due), scenario.duration_s)

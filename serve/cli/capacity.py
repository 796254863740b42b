"""`atelier capacity`: how many GPUs of which kind a load needs, by simulation.

Exit status: 0 when some kind keeps the promise, 1 when none does, 2 for a wrong command line.
"""

import json
from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from loadtests.report.plans import CAPACITY_HEADS, capacity_cells, capacity_page
from loadtests.sizing import Answer, Kind, Probe, capacity
from serve.cli.tune import read_inputs

_INPUT_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_OUTPUT_FILE = click.Path(dir_okay=False, writable=True, path_type=Path)


class KindType(click.ParamType[Kind]):
    """`NAME=SPEED` or `NAME=SPEED:USD_PER_GPU_HOUR`."""

    name = "kind"

    def convert(self, value: str | Kind, param: click.Parameter | None, ctx: click.Context | None) -> Kind:
        if isinstance(value, Kind):
            return value
        name, _, numbers = value.partition("=")
        speed, _, usd = numbers.partition(":")
        try:
            kind = Kind(name, float(speed), float(usd or 0))
        except ValueError:
            self.fail(f"{value}: expected NAME=SPEED or NAME=SPEED:USD_PER_GPU_HOUR", param, ctx)
        if not name or kind.speed <= 0 or kind.usd_per_gpu_hour < 0:
            self.fail(f"{value}: needs a name, a speed above 0 and no negative price", param, ctx)
        return kind


@click.command(name="capacity")
@click.argument("world_path", metavar="WORLD", type=_INPUT_FILE)
@click.argument("scenario_path", metavar="SCENARIO", type=_INPUT_FILE)
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    type=KindType(),
    metavar="NAME=SPEED[:USD]",
    help="A kind of GPU: its speed relative to the one WORLD was measured on, and its price an hour. "
    "May be repeated.  [default: as measured]",
)
@click.option(
    "--violations",
    default=0.01,
    show_default=True,
    type=click.FloatRange(0, 1),
    help="Share of requests that may miss their budget.",
)
@click.option("--max-gpus", default=64, show_default=True, type=click.IntRange(1, 4096))
@click.option("--usd-per-hour", type=click.FloatRange(min=0), help="What all GPUs may cost.")
@click.option(
    "--load",
    "loads",
    multiple=True,
    default=(2.0,),
    show_default=True,
    type=click.FloatRange(min=0, min_open=True, max=100),
    help="How it would be with so many times the traffic. May be repeated.",
)
@click.option("--json", "json_path", type=_OUTPUT_FILE, help="Write the results here.")
@click.option("--html", "html_path", type=_OUTPUT_FILE, help="Write a report here.")
def capacity_command(
    world_path: Path,
    scenario_path: Path,
    kinds: tuple[Kind, ...],
    violations: float,
    max_gpus: int,
    usd_per_hour: float | None,
    loads: tuple[float, ...],
    json_path: Path | None,
    html_path: Path | None,
) -> None:
    """Say how many GPUs the models of WORLD need for the load of SCENARIO (both YAML, docs/loadtests.md)."""
    world, traffic = read_inputs(world_path, scenario_path)
    if not any(model.num_gpus for model in world.models.values()):
        raise click.UsageError(f"{world_path}: no model has num_gpus, so any number of GPUs is enough")
    console = Console()
    with console.status("simulating ..."):
        answers = capacity(
            world,
            traffic,
            kinds or (Kind("as measured"),),
            max_violation_ratio=violations,
            max_gpus=max_gpus,
            usd_per_hour=usd_per_hour,
            loads=loads,
        )
    promise = f"at most {violations:.2%} of {len(traffic.calls)} requests outside their budget"
    _show(console, answers, promise)
    if json_path is not None:
        json_path.write_text(json.dumps([asdict(each) for each in answers], indent=1) + "\n")
    if html_path is not None:
        html_path.write_text(capacity_page(scenario_path.stem, answers, promise))
    if not any(answer.enough for answer in answers):
        raise click.exceptions.Exit(1)


def _show(console: Console, answers: list[Answer], promise: str) -> None:
    table = Table(*CAPACITY_HEADS, title=f"GPUs for {promise}")
    for answer in answers:
        shown: list[Probe] = [answer.enough] if answer.enough else list(answer.probes[-1:])
        for probe in [*shown, *answer.more]:
            table.add_row(*capacity_cells(probe))
    console.print(table)
    for answer in answers:
        if answer.enough is None:
            most = max((probe.gpus for probe in answer.probes), default=0)
            console.print(f"{answer.kind.name}: {most} GPUs, the most allowed, are not enough.", style="red")

"""`atelier plan`: how many GPUs a load needs, which models share one, what it costs, what does not fit.

Exit status: 0 when everything fits, 1 when something is left out, 2 for a wrong command line or file.
"""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import yaml
from rich.console import Console
from rich.table import Table

from loadtests.capacity.chart import HEADER, chart_values
from loadtests.capacity.document import PlanDocument, PlanError, published, read_document
from loadtests.capacity.options import GIB
from loadtests.capacity.plan import Plan, make_plan
from serve.cli.nodes import read_node_groups
from serve.cli.plan_input import plan_input, with_cluster
from serve.kubernetes_api import ClusterError, open_client

_INPUT_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_OUTPUT_FILE = click.Path(dir_okay=False, writable=True, path_type=Path)


def _list_published(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        for name, each in published().items():
            click.echo(f"{name}: {each.what} ({each.source})")
        ctx.exit()


@click.command()
@click.argument("path", metavar="FILE", type=_INPUT_FILE)
@click.option("--from-cluster", is_flag=True, help="Count the GPUs of a cluster's nodes.")
@click.option("--kubeconfig", type=_INPUT_FILE, help="Default: that of kubectl, or the pod's account.")
@click.option("--context", help="Of the kubeconfig.")
@click.option("--out", "out_path", type=_OUTPUT_FILE, help="Write values of the Helm chart here.")
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
@click.option(
    "--published",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_list_published,
    help="List the published times that a file may name.",
)
def plan(
    path: Path,
    from_cluster: bool,
    kubeconfig: Path | None,
    context: str | None,
    out_path: Path | None,
    as_json: bool,
) -> None:
    """Pack the models of FILE on GPUs for the least money: memory is a hard limit, compute is planned to a
    share."""
    try:
        document = read_document(path)
        if from_cluster:
            document = _counted(document, kubeconfig, context)
        given = plan_input(document, path.parent)
    except (PlanError, ClusterError) as error:
        raise click.UsageError(str(error)) from None
    made = make_plan(given.needs, given.gpus, given.rules)
    if as_json:
        click.echo(json.dumps(as_document(made), indent=2))
    else:
        _show(made, Console(highlight=False))
    if out_path is not None:
        values = chart_values(made, document.gpus)
        out_path.write_text(HEADER + yaml.safe_dump(values, sort_keys=False))
    if made.left_out:
        raise click.exceptions.Exit(1)


def _counted(document: PlanDocument, kubeconfig: Path | None, context: str | None) -> PlanDocument:
    client = open_client(str(kubeconfig) if kubeconfig else None, context)
    gpus, notes = with_cluster(document.gpus, read_node_groups(client))
    for note in notes:
        click.echo(f"note: {note}", err=True)
    return document.model_copy(update={"gpus": gpus})


def as_document(made: Plan) -> Mapping[str, Any]:
    return {
        "usd_per_hour": round(made.usd_per_hour, 4),
        "usd_per_1000_images": round(made.usd_per_1000_images, 4),
        "saving_bound_ratio": round(made.saving_bound_ratio, 4),
        "gpus": made.gpus(),
        "models": {
            each.name: {
                "gpu": each.option.gpu,
                "num_gpus": each.option.percent / 100,
                "replicas": each.option.replicas,
                "batch": each.option.batch,
                "latency_ms": round(1000 * each.option.latency_s, 1),
                "headroom_ratio": round(each.headroom_ratio, 3),
                "usd_per_1000_images": round(each.usd_per_1000_images, 4),
            }
            for each in made.placements
        },
        "devices": [
            {
                "gpu": each.gpu,
                "models": list(each.models),
                "memory_gib": round(each.memory_bytes / GIB, 2),
                "memory_ratio": round(each.memory_ratio, 3),
                "granted_ratio": each.percent / 100,
            }
            for each in made.devices
        ],
        "left_out": {each.name: list(each.reasons) for each in made.left_out},
    }


def _show(made: Plan, console: Console) -> None:
    models = Table(title="Models")
    models.add_column("model", overflow="fold")
    models.add_column("GPU")
    for heading in ("num_gpus", "batch", "takes", "head-room", "$/1,000"):
        models.add_column(heading, justify="right")
    for each in made.placements:
        option = each.option
        models.add_row(
            each.name,
            option.gpu,
            f"{option.replicas} x {option.percent / 100:g}",
            str(option.batch),
            f"{option.latency_s:.2f} s",
            f"{each.headroom_ratio:+.0%}",
            f"{each.usd_per_1000_images:.2f}",
        )
    console.print(models, _devices(made))
    counts = ", ".join(f"{count} x {gpu}" for gpu, count in made.gpus().items()) or "no GPUs"
    console.print(
        f"{counts}: ${made.usd_per_hour:.2f} an hour, ${made.usd_per_1000_images:.2f} per 1,000 images"
        " at full load."
    )
    if made.saving_bound_ratio > 0.001:
        console.print(f"No packing is cheaper by more than {made.saving_bound_ratio:.1%}.")
    for left_out in made.left_out:
        console.print(f"[red]{left_out.name} does not fit[/]:")
        for reason in left_out.reasons:
            console.print(f"  {reason}", markup=False)


def _devices(made: Plan) -> Table:
    """GPUs that hold the same stand in one row."""
    table = Table("GPU", title="GPUs")
    for heading in ("memory", "granted"):
        table.add_column(heading, justify="right")
    table.add_column("replicas of")
    alike = Counter((each.gpu, each.memory_ratio, each.percent, tuple(each.models)) for each in made.devices)
    for (gpu, memory_ratio, percent, models), count in alike.items():
        held = Counter(models)
        names = ", ".join(name if number == 1 else f"{number} x {name}" for name, number in held.items())
        table.add_row(f"{count} x {gpu}", f"{memory_ratio:.0%}", f"{percent}%", names)
    return table

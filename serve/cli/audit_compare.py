"""`atelier audit accept | compare`: the audit that others are held to, and what became worse since.

Exit status: 0 when nothing became worse, 1 when something did, 2 for a wrong command line.
"""

import time
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from audits.evidence import Evidence
from audits.watch.accepted import NotAccepted, accept, against, read_accepted, verdicts
from audits.watch.metrics import NotSent, send
from audits.watch.regression import LATENCY, Change, Comparison
from serve.cli.audit_run import FILE, OUTPUT, evidence_of, run_argument

_CONFIG_MAP_BYTES = 1_000_000

otlp_option = click.option(
    "--otlp-endpoint",
    envvar="OTEL_EXPORTER_OTLP_ENDPOINT",
    help="Send what was found there as metrics (OTLP over HTTP).",
)


@click.command(name="accept")
@run_argument
@click.option("--out", "path", type=OUTPUT, default="accepted.json", show_default=True)
def accept_command(run: Path, path: Path) -> None:
    """Make RUN the audit that later ones are held to."""
    text = accept(evidence_of(run)).model_dump_json(indent=1)
    path.write_text(f"{text}\n", "utf-8")
    click.echo(str(path))
    if len(text) > _CONFIG_MAP_BYTES:
        click.echo(f"{len(text)} bytes are more than a ConfigMap holds: audit fewer prompts", err=True)


@click.command(name="compare")
@run_argument
@click.option("--accepted", "accepted_path", type=FILE, required=True)
@otlp_option
def compare_command(run: Path, accepted_path: Path, otlp_endpoint: str | None) -> None:
    """Say what became worse in RUN since the accepted audit."""
    judge(evidence_of(run), accepted_path, otlp_endpoint)


def judge(evidence: Evidence, accepted_path: Path, otlp_endpoint: str | None) -> None:
    """Prints and sends the comparison. Ends the command with 1 when something became worse."""
    try:
        accepted = read_accepted(accepted_path)
        comparison = against(accepted, evidence)
    except NotAccepted as error:
        raise click.UsageError(str(error)) from None
    console = Console()
    _print(console, comparison)
    for name, version in accepted.versions.items():
        if evidence.versions.get(name) != version:
            console.print(
                f"{name}: {version} when accepted, {evidence.versions.get(name)} now", highlight=False
            )
    if otlp_endpoint:
        try:
            send(otlp_endpoint, evidence.name, verdicts(comparison), time.time())
        except NotSent as error:
            click.echo(str(error), err=True)
    if comparison.regressions or comparison.missing:
        raise SystemExit(1)


def _print(console: Console, comparison: Comparison) -> None:
    worse = comparison.regressions
    counted = f"{len(worse)} of {len(comparison.changes)} criteria became worse than chance explains"
    console.print(counted, style="red" if worse else "green", highlight=False)
    if worse:
        table = Table()
        for heading in ("asset type", "variant", "criterion", "accepted", "now", "worse", "better", "chance"):
            table.add_column(heading)
        for each in worse:
            table.add_row(
                *(each.asset, each.variant, each.criterion, *_figures(each)),
                *(str(each.worse), str(each.better), f"{each.p_value:.1g}"),
            )
        console.print(table)
    for asset, variant, criterion in comparison.missing:
        console.print(f"{asset}, {variant}: {criterion} was not measured again", style="red", highlight=False)


def _figures(change: Change) -> tuple[str, str]:
    if change.criterion == LATENCY:
        return f"{change.before:.0f} ms", f"{change.after:.0f} ms"
    return f"{change.before:.0%}", f"{change.after:.0%}"

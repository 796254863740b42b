"""`atelier audit watch`: the audit again, as a schedule runs it.

Exit status: 0 when nothing became worse, 1 when something did or the endpoint went away, 2 for a wrong
command line.
"""

import time
from pathlib import Path
from typing import Any

import click

from serve.cli.audit_compare import judge, otlp_option
from serve.cli.audit_measure import endpoint_options, load, measure
from serve.cli.audit_run import FILE, summary_of


@click.command(name="watch")
@click.argument("audit", type=FILE)
@click.option("--accepted", "accepted_path", type=FILE, required=True, help="What `accept` wrote.")
@click.option(
    "--runs",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="The run goes into a folder of its own in here, with its report.",
)
@otlp_option
@endpoint_options
def watch_command(
    audit: Path, accepted_path: Path, runs: Path, otlp_endpoint: str | None, **endpoint: Any
) -> None:
    """Run AUDIT again and say what became worse since the accepted one."""
    from audits.report.page import report_page

    folder = runs / time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    evidence = measure(load(audit), folder, **endpoint)
    pictures = {each.id: each.picture for each in evidence.samples if each.picture is not None}
    (folder / "report.html").write_text(report_page(summary_of(folder, evidence, ()), pictures), "utf-8")
    judge(evidence, accepted_path, otlp_endpoint)

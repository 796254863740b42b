"""`atelier audit report`: a finished audit as one HTML page, and as JSON."""

from pathlib import Path

import click

from serve.cli.audit_run import OUTPUT, as_json, evidence_of, feedback_option, run_argument, summary_of


@click.command(name="report")
@run_argument
@feedback_option
@click.option("--html", "html_path", type=OUTPUT, help="[default: report.html in RUN]")
@click.option("--json", "json_path", type=OUTPUT, help="[default: report.json in RUN]")
def report_command(
    run: Path, feedback: tuple[Path, ...], html_path: Path | None, json_path: Path | None
) -> None:
    """Write what RUN found to a page that opens anywhere, and as JSON."""
    from audits.report.page import report_page

    evidence = evidence_of(run)
    summary = summary_of(run, evidence, feedback)
    pictures = {each.id: each.picture for each in evidence.samples if each.picture is not None}
    html_path, json_path = html_path or run / "report.html", json_path or run / "report.json"
    html_path.write_text(report_page(summary, pictures), "utf-8")
    json_path.write_text(as_json(summary), "utf-8")
    click.echo(f"{html_path}\n{json_path}")

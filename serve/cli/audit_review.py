"""`atelier audit review`: a local page where a person judges pairs of pictures blind."""

import getpass
import socket
from pathlib import Path

import click

from audits.evidence import Sample
from audits.review.pairing import Exhibit
from serve.cli.audit_run import evidence_of, journal_of, run_argument


@click.command(name="review")
@run_argument
@click.option("--reviewer", help="Who judges.  [default: the user's name]")
@click.option("--pairs", type=click.IntRange(min=1), help="So many, spread over asset types.  [default: all]")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), help="Of order and sides.  [default: random]")
@click.option("--port", default=8765, show_default=True, type=click.IntRange(0, 65535), help="0: any.")
def review_command(run: Path, reviewer: str | None, pairs: int | None, seed: int | None, port: int) -> None:
    """Judge the pictures of RUN in a browser, two at a time, without knowing what made them."""
    import uvicorn

    from audits.review.server import open_session, review_app

    journal = journal_of(run)
    exhibits = [_exhibit(each) for each in evidence_of(run).samples if each.picture is not None]
    session, shown = open_session(journal, exhibits, reviewer or getpass.getuser(), seed=seed, count=pairs)
    if not shown:
        raise click.UsageError(f"{run} has no two variants that answered the same question")
    with socket.create_server(("127.0.0.1", port)) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        done = len(journal.latest(session.id))
        click.echo(f"{session.reviewer}: {done} of {len(shown)} pairs judged. Open {address} (Ctrl-C ends).")
        server = uvicorn.Server(uvicorn.Config(review_app(journal, session, shown), log_level="warning"))
        server.run(sockets=[listener])
    click.echo(f"{len(journal.latest(session.id))} of {len(shown)} pairs judged, in {run}.")


def _exhibit(sample: Sample) -> Exhibit:
    assert sample.picture is not None
    return Exhibit(sample.id, sample.question, sample.asset, sample.prompt, sample.variant, sample.picture)

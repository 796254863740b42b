"""What the commands on a finished audit have in common: its folder, its evidence, and what people said."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from audits.evidence import Evidence
from audits.evidence_file import EvidenceError, read_evidence
from audits.review.journal import FILE_NAME, Journal, JournalError
from audits.summary import summarize
from audits.words import FeedbackError, Words, feedback_words, merged, review_words, route_rates

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
OUTPUT = click.Path(dir_okay=False, writable=True, path_type=Path)
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)

F = TypeVar("F", bound=Callable[..., Any])


def run_argument(command: F) -> F:
    return click.argument("run", type=FOLDER)(command)


def feedback_option(command: F) -> F:
    return click.option(
        "--feedback",
        "feedback",
        multiple=True,
        type=FILE,
        help="Lines posted to /v1/feedback, or a saved GET /v1/experiments; may be repeated.",
    )(command)


def evidence_of(run: Path) -> Evidence:
    try:
        return read_evidence(run)
    except EvidenceError as error:
        raise click.UsageError(str(error)) from None


def journal_of(run: Path) -> Journal:
    try:
        return Journal(run / FILE_NAME)
    except JournalError as error:
        raise click.UsageError(str(error)) from None


def summary_of(run: Path, evidence: Evidence, feedback: tuple[Path, ...]) -> dict[str, Any]:
    """With what people said, in the run's reviews and in the files given."""
    saved = {path: route_rates(path) for path in feedback}
    try:
        lines = [feedback_words(path, evidence.samples) for path, rates in saved.items() if rates is None]
    except (FeedbackError, UnicodeDecodeError) as error:
        raise click.UsageError(str(error)) from None
    words: Words = merged([review_words(journal_of(run)), *lines])
    summary = summarize(evidence, words)
    summary["production"] = [each for rates in saved.values() for each in rates or ()]
    return summary


def as_json(document: Any) -> str:
    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"

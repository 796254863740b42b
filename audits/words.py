"""What people said of an audit's pictures, by sample: from its reviews, and from feedback on deliveries.

Feedback comes as a file of what was posted to /v1/feedback, one JSON object a line, or as what GET
/v1/experiments answers. A line is of the picture whose receipt it names. Rates of a route are of no
picture: they stand beside what the audit measured, and are never mixed with it.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from audits.evidence import Sample
from audits.fixes import Word
from audits.review.journal import Journal, Opinion

Words = dict[str, list[Word]]


class FeedbackError(ValueError):
    """A file that holds no feedback."""


class FeedbackLine(BaseModel):
    """A body of POST /v1/feedback."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    receipt_id: Annotated[str, Field(min_length=1)]
    verdict: Literal["accepted", "fixed"]
    minutes: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0


def review_words(journal: Journal) -> Words:
    """One word of each person for each picture: where a person saw a picture twice, the later one."""
    said: dict[tuple[str, str], Word] = {}
    for (session, pair), judgement in journal.latest().items():
        shown = next(each for each in journal.sessions[session].pairs if each.id == pair)
        reviewer = journal.sessions[session].reviewer
        for sample, opinion in ((shown.left, judgement.left), (shown.right, judgement.right)):
            said[reviewer, sample] = _word(opinion)
    words: Words = {}
    for (_, sample), word in said.items():
        words.setdefault(sample, []).append(word)
    return words


def feedback_words(path: Path, samples: Iterable[Sample]) -> Words:
    """Of the audit's own receipts; the last line on a receipt counts. Raises FeedbackError."""
    receipts = {_receipt_id(each): each.id for each in samples if each.receipt is not None}
    last: dict[str, Word] = {}
    for number, text in enumerate(path.read_text("utf-8").splitlines(), 1):
        if not text.strip():
            continue
        try:
            line = FeedbackLine.model_validate_json(text)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"]))
            raise FeedbackError(f"{path}:{number}: {where}: {first['msg']}") from None
        if line.receipt_id in receipts:
            last[receipts[line.receipt_id]] = Word(line.verdict == "fixed", line.minutes)
    return {sample: [word] for sample, word in last.items()}


def route_rates(path: Path) -> list[Mapping[str, Any]] | None:
    """The rates per route and arm of a saved GET /v1/experiments; None for a file of single lines."""
    try:
        document = json.loads(path.read_text("utf-8"))
    except ValueError:
        return None
    if not isinstance(document, dict) or not isinstance(document.get("rates"), list):
        return None
    return [dict(each) for each in document["rates"]]


def merged(parts: Iterable[Mapping[str, Iterable[Word]]]) -> Words:
    words: Words = {}
    for part in parts:
        for sample, said in part.items():
            words.setdefault(sample, []).extend(said)
    return words


def _word(opinion: Opinion) -> Word:
    return Word(opinion.verdict == "fix", opinion.minutes)


def _receipt_id(sample: Sample) -> str | None:
    return None if sample.receipt is None else sample.receipt.get("request_id")

import json

import pytest

from audits.fixes import Word
from audits.review.journal import Journal, Judgement, Opinion, PairLine, Session
from audits.words import FeedbackError, feedback_words, merged, review_words, route_rates
from tests.audits.evidence import made_up_evidence

ACCEPT, FIX = Opinion(verdict="accept"), Opinion(verdict="fix", minutes=5)


def session(journal: Journal, name: str, reviewer: str, *pairs: tuple[str, str, str]) -> None:
    lines = tuple(PairLine(id=pair, left=left, right=right) for pair, left, right in pairs)
    journal.begin(Session(id=name, reviewer=reviewer, seed=1, started_unix_s=0, pairs=lines))


def judge(journal: Journal, name: str, pair: str, left: Opinion, right: Opinion, revision: int = 0) -> None:
    journal.add(
        Judgement(session=name, pair=pair, revision=revision, left=left, right=right, looked_s=1, at_unix_s=0)
    )


def test_each_person_has_one_word_on_a_picture(tmp_path):
    journal = Journal(tmp_path / "reviews.jsonl")
    session(journal, "s1", "ada", ("p", "a", "b"), ("q", "a", "c"))
    session(journal, "s2", "grace", ("p", "b", "a"))
    judge(journal, "s1", "p", ACCEPT, FIX)
    judge(journal, "s1", "q", FIX, ACCEPT)  # ada sees a again
    judge(journal, "s2", "p", ACCEPT, ACCEPT)
    judge(journal, "s2", "p", FIX, ACCEPT, revision=1)  # grace takes it back
    words = review_words(Journal(tmp_path / "reviews.jsonl"))
    assert words == {
        "a": [Word(True, 5), Word(False)],
        "b": [Word(True, 5), Word(True, 5)],
        "c": [Word(False)],
    }


def test_feedback_belongs_to_the_picture_whose_receipt_it_names(tmp_path):
    samples = made_up_evidence(tmp_path, 1).samples
    own = samples[0].receipt["request_id"]
    path = tmp_path / "feedback.jsonl"
    lines = [
        {"receipt_id": own, "verdict": "accepted"},
        {"receipt_id": own, "verdict": "fixed", "minutes": 3},
        {"receipt_id": "somebody else's", "verdict": "fixed"},
    ]
    path.write_text("\n".join(map(json.dumps, lines)) + "\n")
    assert feedback_words(path, samples) == {samples[0].id: [Word(True, 3)]}


def test_a_line_that_is_no_feedback_is_named(tmp_path):
    path = tmp_path / "feedback.jsonl"
    path.write_text('{"receipt_id": "a", "verdict": "great"}\n')
    with pytest.raises(FeedbackError, match=r"feedback.jsonl:1: verdict"):
        feedback_words(path, [])


def test_rates_of_routes_are_told_from_lines(tmp_path):
    saved, lines = tmp_path / "experiments.json", tmp_path / "feedback.jsonl"
    saved.write_text(json.dumps({"rates": [{"route": "badges", "ratio": 0.25}], "comparisons": {}}))
    lines.write_text('{"receipt_id": "a", "verdict": "fixed"}\n')
    assert route_rates(saved) == [{"route": "badges", "ratio": 0.25}]
    assert route_rates(lines) is None


def test_words_add_up():
    assert merged([{"a": [Word(True, 1)]}, {"a": [Word(False)], "b": []}]) == {
        "a": [Word(True, 1), Word(False)],
        "b": [],
    }

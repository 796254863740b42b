import pytest

from audits.review.journal import Journal, JournalError, Judgement, Opinion, PairLine, Session

SESSION = Session(
    id="s", reviewer="ada", seed=1, started_unix_s=0, pairs=(PairLine(id="p", left="a", right="b"),)
)


def judgement(revision: int = 0, minutes: float = 0.0) -> Judgement:
    left = Opinion(verdict="fix", minutes=minutes) if minutes else Opinion(verdict="accept")
    return Judgement(
        session="s", pair="p", revision=revision, left=left, right=Opinion(verdict="accept"),
        looked_s=1.0, at_unix_s=0.0,
    )  # fmt: skip


def test_the_same_judgement_is_written_once(tmp_path):
    path = tmp_path / "reviews.jsonl"
    journal = Journal(path)
    journal.begin(SESSION)
    assert journal.add(judgement())
    assert not journal.add(judgement())
    assert not Journal(path).add(judgement())
    assert len(path.read_text().splitlines()) == 2


def test_the_last_revision_counts(tmp_path):
    journal = Journal(tmp_path / "reviews.jsonl")
    journal.begin(SESSION)
    journal.add(judgement(1, 5))
    journal.add(judgement(0))
    assert Journal(tmp_path / "reviews.jsonl").latest()["s", "p"].left.minutes == 5


def test_a_line_cut_off_by_a_crash_costs_that_line_alone(tmp_path):
    path = tmp_path / "reviews.jsonl"
    journal = Journal(path)
    journal.begin(SESSION)
    journal.add(judgement())
    path.write_bytes(path.read_bytes()[:-20])
    again = Journal(path)
    assert again.latest() == {}
    assert again.add(judgement())
    assert len(Journal(path).latest()) == 1


@pytest.mark.parametrize("text", ["[]", '{"kind": "other"}', '{"kind": "judgement", "pair": 3}'])
def test_another_file_is_refused_by_name_and_line(tmp_path, text):
    path = tmp_path / "reviews.jsonl"
    path.write_text(text + "\n")
    with pytest.raises(JournalError, match=r"reviews.jsonl:1: "):
        Journal(path)


def test_a_pair_of_another_session_is_refused(tmp_path):
    journal = Journal(tmp_path / "reviews.jsonl")
    with pytest.raises(JournalError, match="no pair p in session s"):
        journal.add(judgement())


def test_minutes_belong_to_a_fix():
    with pytest.raises(ValueError, match="minutes are of a fix"):
        Opinion(verdict="accept", minutes=3)

import pytest

from audits.evidence_file import EvidenceError, read_evidence, write_evidence
from tests.audits.evidence import made_up_evidence


def test_what_is_written_is_read(tmp_path):
    evidence = made_up_evidence(tmp_path, 2)
    write_evidence(tmp_path, evidence)
    assert read_evidence(tmp_path) == evidence


def test_a_run_may_be_moved(tmp_path):
    (tmp_path / "here").mkdir()
    write_evidence(tmp_path / "here", made_up_evidence(tmp_path / "here", 1))
    (tmp_path / "here").rename(tmp_path / "there")
    assert all(each.picture.is_file() for each in read_evidence(tmp_path / "there").samples if each.picture)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "has no evidence.json"),
        ("{", "not JSON"),
        ("[]", "not the evidence"),
        ('{"format": "atelier-audit-evidence/1"}', "criteria"),
        (
            '{"format": "atelier-audit-evidence/1", "criteria": {}, "samples": [], "rates": {"x": 1}}',
            "unexpected keyword",
        ),
    ],
)
def test_what_is_no_evidence_is_refused(tmp_path, text, words):
    if text is not None:
        (tmp_path / "evidence.json").write_text(text)
    with pytest.raises(EvidenceError, match=words):
        read_evidence(tmp_path)

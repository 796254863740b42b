from dataclasses import replace

import pytest

from audits.evidence import Reading
from audits.watch.accepted import NotAccepted, accept, against, read_accepted, verdicts
from tests.audits.evidence import made_up_evidence


@pytest.fixture(scope="module")
def evidence(tmp_path_factory):
    return made_up_evidence(tmp_path_factory.mktemp("audit"))


def changed(evidence, asset, variant, **fields):
    samples = [
        replace(each, **fields) if (each.asset, each.variant) == (asset, variant) else each
        for each in evidence.samples
    ]
    return replace(evidence, samples=tuple(samples))


def test_the_same_audit_again_has_not_regressed(tmp_path, evidence):
    path = tmp_path / "accepted.json"
    path.write_text(accept(evidence).model_dump_json())
    assert len(path.read_bytes()) < 1_000_000, "more than a ConfigMap holds"
    comparison = against(read_accepted(path), evidence)
    assert comparison.regressions == ()
    assert comparison.missing == ()
    assert not any(each.regressed for each in verdicts(comparison))


def test_a_model_whose_text_became_illegible_is_found_and_nothing_else(evidence):
    readings = (Reading("legible", False), Reading("palette", True), Reading("size", True))
    worse = changed(evidence, "ui-badge", "typesetter", readings=readings)
    found = [each for each in verdicts(against(accept(evidence), worse)) if each.regressed]
    assert [(each.asset, each.variant, each.criterion) for each in found] == [
        ("ui-badge", "typesetter", "legible")
    ]


def test_a_model_that_stopped_answering_fails_all_it_passed(evidence):
    gone = changed(evidence, "ui-badge", "typesetter", picture=None, readings=(), latency_ms=None)
    comparison = against(accept(evidence), gone)
    assert {each.criterion for each in comparison.regressions} == {"answered", "legible", "palette", "size"}
    assert comparison.missing == (("ui-badge", "typesetter", "latency"),)


def test_a_variant_that_was_left_out_is_not_passed_over(evidence):
    less = replace(evidence, samples=tuple(e for e in evidence.samples if e.variant != "creative"))
    found = [each for each in verdicts(against(accept(evidence), less)) if each.regressed]
    assert {each.variant for each in found} == {"creative"}


def test_another_audit_is_no_baseline(evidence):
    with pytest.raises(NotAccepted, match="'made up', this one is 'other'"):
        against(accept(evidence), replace(evidence, name="other"))


def test_another_file_is_refused_by_what_is_wrong(tmp_path):
    path = tmp_path / "accepted.json"
    path.write_text('{"audit": "a", "started_unix_s": 0, "versions": {}, "rows": [{}]}')
    with pytest.raises(NotAccepted, match=r"accepted.json: rows.0.asset"):
        read_accepted(path)

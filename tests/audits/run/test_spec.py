from pathlib import Path

import pytest

from audits.run.judging import check_criteria
from audits.run.plan import CANDIDATE_LABEL, body_of, cells, digest
from audits.run.spec import AuditError, load_audit, parse_audit
from tests.audits.run.endpoint import AUDIT

EXAMPLE = Path(__file__).parents[3] / "examples" / "audit.yaml"


def test_the_example_asks_for_three_asset_types_of_four_candidates() -> None:
    spec = load_audit(EXAMPLE)
    check_criteria(spec)
    assert (len(spec.assets), len(spec.candidates)) == (3, 4)
    assert len(list(cells(spec))) == spec.answers == 240


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("repeats: 2", "repeat: 2", "audit:4:1: repeat: Extra inputs are not permitted"),
        ("seeds: [1, 2]", "seeds: [1, 1]", "seeds: something is listed twice"),
        ("{id: two,", "{id: one,", "prompts: something is listed twice"),
        ("{model: steady}", "{model: steady, stages: [steady]}", "exactly one of model, stages and"),
        ("size: 8x8", "candidates: [nobody]", "there is no candidate 'nobody'"),
        ("repeats: 2", "repeats: 100\nseeds: [1]", "this key is written twice"),
        ("size: 8x8", "size: big", "String should match pattern"),
    ],
)
def test_a_wrong_file_is_refused_by_its_line(old: str, new: str, problem: str) -> None:
    with pytest.raises(AuditError) as refused:
        parse_audit(AUDIT.replace(old, new, 1))
    assert problem in str(refused.value)


def test_an_audit_has_a_bound() -> None:
    seeds = ", ".join(map(str, range(2000)))
    text = AUDIT.replace("repeats: 2", "repeats: 99").replace("seeds: [1, 2]", f"seeds: [{seeds}]")
    with pytest.raises(AuditError, match="an audit may ask for 100000"):
        parse_audit(text)


def test_what_is_asked_alone_comes_last_and_every_cell_once() -> None:
    found = list(cells(parse_audit(AUDIT)))
    assert len({cell.id for cell in found}) == len(found)
    alone = [cell.alone for cell in found]
    assert alone == sorted(alone)


def test_candidates_take_turns() -> None:
    found = [cell.candidate for cell in cells(parse_audit(AUDIT))]
    assert found[:4] == ["steady", "broken", "steady", "broken"]


def test_a_request_says_what_is_asked_and_who_should_answer() -> None:
    text = AUDIT.replace("{model: steady}", "{model: steady, steps: 4, options: {deterministic: true}}")
    spec = parse_audit(text)
    assert body_of(next(cells(spec)), spec) == {
        "prompt": "first",
        "model": "steady",
        "size": "16x8",
        "output_format": "png",
        "response_format": "b64_json",
        "atelier": {
            "asset": "swatch",
            "seed": 1,
            "steps": 4,
            "max_latency_ms": 60_000,
            "labels": {CANDIDATE_LABEL: "steady"},
            "deterministic": True,
        },
    }


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("max: 3", "max: 4", True),
        ("concurrency: 3", "concurrency: 1", True),
        ("seeds: [1, 2]", "seeds: [1, 3]", False),
        ("prompt: first", "prompt: other", False),
        ("{model: steady}", "{model: steady, steps: 3}", False),
    ],
)
def test_the_digest_is_of_what_is_asked(old: str, new: str, same: bool) -> None:
    before, after = digest(parse_audit(AUDIT)), digest(parse_audit(AUDIT.replace(old, new)))
    assert (before == after) is same

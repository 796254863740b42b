import pytest

from routing.cases import load_cases, run_cases
from routing.document import DocumentError
from tests.routing.builders import SEED_POLICY, engine

ENGINE_TEXT = SEED_POLICY + "default: {model: fast, fallback: [hosted], raster_fallback: x.png}\n"


def mismatches(case: str) -> tuple[str, ...]:
    file = load_cases("cases:\n  - {name: c, " + case + "}\n", "cases.yaml")
    (result,) = run_cases(engine(ENGINE_TEXT), file)
    assert result.passed == (not result.mismatches)
    return result.mismatches


@pytest.mark.parametrize(
    "case",
    [
        "request: {asset: ui-badge}, expect: {models: [typography_focused], budget_ms: 300, rung: 0}",
        "request: {prompt: x}, expect: {route: default, chain: [[fast], [hosted]], raster: x.png}",
        "request: {prompt: x}, load: {fast: {breaker_open: true}}, expect: {models: [hosted], rung: 1}",
        "request: {prompt: a poster}, load: {creative_highfidelity: {wait_ms: 9000}}, "
        "expect: {refusal: refused_capacity, models: null}",
        "request: {prompt: a poster}, load: {creative_highfidelity: {overhead_ms: 5000}}, "
        "expect: {refusal: refused_budget}",
        "request: {prompt: x, model: nope}, expect: {error: unknown_model}",
        "request: {prompt: x, size: 64x64, labels: {a: b}, steps: 3}, expect: {steps: 3}",
    ],
)
def test_what_is_expected_and_happens_passes(case):
    assert mismatches(case) == ()


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        (
            "request: {asset: ui-badge}, expect: {models: [fast]}",
            "models: expected [fast], got [typography_focused]",
        ),
        (
            "request: {prompt: x, model: nope}, expect: {route: default}",
            "the request is refused: unknown_model",
        ),
        ("request: {prompt: x}, expect: {error: no_route}", "error: expected no_route, got nothing"),
        ("request: {prompt: x}, load: {nope: {}}, expect: {}", "load names models that do not exist: nope"),
    ],
)
def test_what_does_not_happen_is_said(case, expected):
    assert expected in mismatches(case)


def test_a_mistake_in_a_case_is_located():
    with pytest.raises(
        DocumentError, match=r"c\.yaml:2:41: cases\[0\]\.expect\.modell: there is no such key"
    ):
        load_cases("cases:\n  - {name: a, request: {}, expect: {    modell: x}}\n", "c.yaml")
    with pytest.raises(DocumentError, match=r"c\.yaml:1:1"):
        load_cases("", "c.yaml")

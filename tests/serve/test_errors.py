import pytest

from deployments import errors as render_errors
from routing.types import Outcome
from serve.errors import OUTCOMES, from_outcome, outcome_of


def test_every_outcome_but_ok_has_a_status_and_none_is_a_502() -> None:
    assert set(OUTCOMES) == set(Outcome) - {Outcome.OK}
    assert all(entry.status != 502 for entry in OUTCOMES.values())


@pytest.mark.parametrize(("retry_after_s", "header"), [(None, "1"), (0.2, "1"), (7.4, "7")])
def test_what_may_be_tried_again_says_when(retry_after_s: float | None, header: str) -> None:
    assert from_outcome(Outcome.REFUSED_CAPACITY, "full", retry_after_s).headers["retry-after"] == header
    assert "retry-after" not in from_outcome(Outcome.MODEL_ERROR, "failed", retry_after_s).headers


def test_an_error_of_a_model_counts_as_its_outcome() -> None:
    assert outcome_of(render_errors.OutOfMemory("m")) is Outcome.OUT_OF_MEMORY
    assert outcome_of(render_errors.ReplicaLost("m")) is Outcome.MODEL_ERROR
    assert outcome_of(render_errors.Unsupported("m", "size")) is Outcome.UNSUPPORTED

import pytest

from audits.criteria.subject import Picture, Subject
from tests.audits.criteria.drawn import flat, measure, picture, value


def _subject() -> Subject:
    shown: list[Picture] = [
        picture(flat("red"), latency_ms=10, gpu_s=1, cost_usd=0.5),
        picture(flat("red"), latency_ms=30, gpu_s=2, cost_usd=1.5, substituted=True),
    ]
    return Subject(shown)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("latency_ms", 30), ("gpu_s", 1.5), ("cost_usd", 1.0), ("substituted", 0.5), ("file_bytes", 1000)],
)
def test_over_all_answers_of_a_question(name: str, expected: float) -> None:
    assert measure(name, _subject()).value == expected


def test_size_is_width_by_height() -> None:
    assert value("size_as_asked", flat("red", (64, 32)), size=(64, 32)) == 1
    assert value("size_as_asked", flat("red", (64, 32)), size=(32, 64)) == 0

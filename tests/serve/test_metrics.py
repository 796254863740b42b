import pytest

from serve.metrics import RayObserver


def test_counters_are_passed_on_once_added_up(monkeypatch: pytest.MonkeyPatch) -> None:
    observer = RayObserver()
    passed: list[tuple[float, dict[str, str]]] = []
    monkeypatch.setattr(observer._requests, "inc", lambda value, tags: passed.append((value, tags)))
    for _ in range(3):
        observer.refused("badges", "refused_capacity", 1.0)
    assert passed == []
    observer.flush()
    observer.flush()
    assert passed == [(3.0, {"route": "badges", "model": "none", "outcome": "refused_capacity"})]

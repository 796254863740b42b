from typing import Any

import pytest

from deployments import telemetry
from deployments.engine.work import Batch, Shape
from deployments.metrics import MAX_SHAPES, OTHER_SHAPES, ReplicaMetrics
from deployments.types import ModelLoad

SHAPE = Shape(512, 512)
Passed = dict[tuple[str, str | None], float]


@pytest.fixture
def passed(monkeypatch: pytest.MonkeyPatch) -> Passed:
    """What Ray was given, by name and shape: sums of counters, last values of gauges."""
    seen: Passed = {}

    def inc(metric: Any, value: float, tags: dict[str, str]) -> None:
        assert tags["model"] == "m"
        key = metric._name, tags.get("shape")
        seen[key] = seen.get(key, 0.0) + value

    def put(metric: Any, value: float, tags: dict[str, str]) -> None:
        assert tags["model"] == "m"
        seen[metric._name, tags.get("shape")] = value

    monkeypatch.setattr("ray.serve.metrics.Counter.inc", inc)
    monkeypatch.setattr("ray.serve.metrics.Gauge.set", put)
    return seen


def test_steps_are_added_up_and_passed_on_once(passed: Passed) -> None:
    metrics = ReplicaMetrics("m")
    metrics.stepped(Batch(SHAPE, (1, 2, 3)), 0.5, None, cap=8)
    metrics.stepped(Batch(SHAPE, (1,), width=4), 0.25, 0.35, cap=8)
    metrics.did_not_fit(Batch(SHAPE, (1, 2, 3, 4)), cap=2)
    assert passed == {}
    for _ in range(2):
        metrics.flush(ModelLoad(wait_ms=12.0, running=3, queued=1))
    shape = "512x512+guided"
    assert passed == pytest.approx(
        {
            (telemetry.METRIC_STEPS, shape): 2,
            (telemetry.METRIC_STEP_REQUESTS, shape): 4,  # padding is no request
            (telemetry.METRIC_STEP_SECONDS, shape): 0.75,
            (telemetry.METRIC_STEP_PREDICTED_SECONDS, shape): 0.35,
            (telemetry.METRIC_STEP_ERROR_SECONDS, shape): 0.1,
            (telemetry.METRIC_STEP_OUT_OF_MEMORY, shape): 1,
            (telemetry.METRIC_BATCH_CAP, shape): 2,
            (telemetry.METRIC_RUNNING, None): 3,
            (telemetry.METRIC_QUEUED, None): 1,
            (telemetry.METRIC_WAIT_MS, None): 12.0,
        }
    )


def test_clients_cannot_make_series_without_end(passed: Passed) -> None:
    metrics = ReplicaMetrics("m")
    for side in range(1, 3 * MAX_SHAPES + 1):
        metrics.stepped(Batch(Shape(8 * side, 8), (1,)), 0.1, None, cap=1)
    metrics.flush(ModelLoad())
    steps = {shape: value for (name, shape), value in passed.items() if name == telemetry.METRIC_STEPS}
    assert len(steps) == MAX_SHAPES + 1
    assert steps[OTHER_SHAPES] == 2 * MAX_SHAPES

import time
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from deployments import errors
from deployments.types import RenderRequest, RenderResult
from routing.types import AssetRequest
from serve import metrics, telemetry
from serve.errors import ApiError
from serve.jobs import ImageJob
from serve.metrics import NoObserver, RayObserver
from serve.schemas import Receipt
from tests.serve.gateways import gateway


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


METRICS = {value for name, value in vars(telemetry).items() if name.startswith("METRIC_")}


class Series:
    """A metric of Ray's that remembers what it was told, and takes no label it has not declared."""

    made: ClassVar[dict[str, "Series"]] = {}

    def __init__(self, name: str, description: str, *more: Any) -> None:
        self.labels = set(more[-1]) if more else set()
        self.values: list[tuple[float, dict[str, str]]] = []
        Series.made[name] = self

    def inc(self, value: float, tags: dict[str, str]) -> None:
        assert set(tags) == self.labels
        self.values.append((value, tags))

    observe = inc

    def set(self, value: float, tags: dict[str, str] | None = None) -> None:
        assert set(tags or {}) == self.labels
        self.values.append((value, tags or {}))


@pytest.fixture
def series(monkeypatch: pytest.MonkeyPatch) -> dict[str, Series]:
    monkeypatch.setattr(Series, "made", {})
    of_ray = SimpleNamespace(Counter=Series, Histogram=Series, Gauge=Series)
    monkeypatch.setattr(metrics, "ray_metrics", of_ray)
    return Series.made


async def counted(series: dict[str, Series], policy: str, **renders: Any) -> Receipt:
    """What a real request is counted as."""
    models = {"a": {"kind": "echo"}, "b": {"kind": "echo"}}
    of = gateway(policy, models, renders)
    observer = RayObserver()
    job = ImageJob("r1", time.monotonic(), AssetRequest("a fox"), (1,))
    receipt = (await of.dispatcher.dispatch(job)).receipt
    observer.finished(receipt)
    observer.flush()
    return receipt


async def test_a_request_with_a_budget_that_another_model_answered(series: dict[str, Series]) -> None:
    async def fail(request: RenderRequest) -> RenderResult:
        raise errors.OutOfMemory("no memory")

    policy = "model_routing: []\ndefault: {model: a, fallback: [b], max_latency_ms: 60000}\n"
    receipt = await counted(series, policy, a=fail)
    assert set(series) == METRICS
    told = {name: each.values for name, each in series.items()}
    assert told[telemetry.METRIC_REQUESTS] == [(1.0, {"route": "default", "model": "b", "outcome": "ok"})]
    assert told[telemetry.METRIC_BUDGET] == [(1.0, {"route": "default", "met": "true"})]
    assert told[telemetry.METRIC_SUBSTITUTIONS] == [
        (1.0, {"route": "default", "model": "a", "outcome": "out_of_memory"})
    ]
    assert told[telemetry.METRIC_DURATION_MS] == [(receipt.total_ms, {"route": "default", "outcome": "ok"})]
    assert [tags for _, tags in told[telemetry.METRIC_QUEUE_MS]] == [{"model": "b"}]
    assert told[telemetry.METRIC_PREDICTION_ERROR] == []  # it was predicted of another model
    assert told[telemetry.METRIC_GPU_SECONDS] == told[telemetry.METRIC_COST_USD] == []


async def test_gpu_time_cost_and_a_missed_budget(series: dict[str, Series]) -> None:
    receipt = await counted(series, "model_routing: []\ndefault: {model: a, max_latency_ms: 60000}\n")
    [image] = receipt.images
    [stage] = image.stages
    paid = stage.model_copy(update={"gpu_s": 0.5, "cost_usd": 0.25})
    late = receipt.model_copy(
        update={
            "total_ms": 300.0,
            "budget_ms": 200.0,
            "predicted_ms": 150.0,
            "images": [image.model_copy(update={"stages": [paid, paid]})],
        }
    )
    observer = RayObserver()
    observer.finished(late)  # costs were told when the calls ended
    observer.spent("default", "a", 0.25)
    observer.spent("default", "a", 0.25)
    observer.flush()
    told = {name: each.values for name, each in series.items()}
    assert told[telemetry.METRIC_BUDGET] == [(1.0, {"route": "default", "met": "false"})]
    assert told[telemetry.METRIC_GPU_SECONDS] == [(1.0, {"model": "a"})]
    assert told[telemetry.METRIC_COST_USD] == [(0.5, {"route": "default", "model": "a"})]
    assert told[telemetry.METRIC_PREDICTION_ERROR] == [(0.5, {"model": "a"})]


def test_a_refused_policy_is_stale_until_a_good_one_comes(series: dict[str, Series]) -> None:
    observer = RayObserver()
    for accepted in (True, False, True):
        observer.policy_offered(accepted)
        observer.flush()
    observer.flush()  # Ray drops a gauge that is not set again
    assert [value for value, _ in series[telemetry.METRIC_POLICY_STALE].values] == [0, 1, 0, 0]
    results = [tags["result"] for _, tags in series[telemetry.METRIC_POLICY_RELOADS].values]
    assert results == ["accepted", "refused", "accepted"]


def test_lines_of_batches_are_told_until_they_are_others(series: dict[str, Series]) -> None:
    observer = RayObserver()
    observer.flush()
    observer.batch_lines_left(7)
    observer.flush()
    observer.flush()
    assert [value for value, _ in series[telemetry.METRIC_BATCH_LINES].values] == [0, 7, 7]


def test_a_refusal_misses_its_budget_unless_the_caller_is_the_reason(series: dict[str, Series]) -> None:
    observer = RayObserver()
    observer.refused("a", "refused_capacity", 1.0, budget_ms=100.0)
    observer.refused("a", "deadline_exceeded", 1.0, budget_ms=100.0)
    for not_ours in ("cancelled", "content_refused", "unsupported", "invalid_request"):
        observer.refused("a", not_ours, 1.0, budget_ms=100.0)
    observer.refused("a", "refused_capacity", 1.0)
    observer.flush()
    assert series[telemetry.METRIC_BUDGET].values == [(2.0, {"route": "a", "met": "false"})]


async def test_refusals_are_told_with_the_budget_they_missed_and_own_limits_without() -> None:
    class Refusals(NoObserver):
        missed: ClassVar[list[float | None]] = []

        def refused(self, *told: Any) -> None:
            self.missed.append(told[-1])

    async def fail(request: RenderRequest) -> RenderResult:
        raise errors.OutOfMemory("no memory")

    route = (
        "model_routing: []\ndefault: {model: a, max_latency_ms: 60000, limits: {requests_per_minute: 1}}\n"
    )
    of = gateway(route, {"a": {"kind": "echo"}}, {"a": fail}, observer=Refusals())
    for _ in range(2):
        with pytest.raises(ApiError):
            await of.dispatcher.dispatch(ImageJob("r1", time.monotonic(), AssetRequest("a fox"), (1,)))
    assert Refusals.missed == [60000, None]


async def test_a_breaker_is_shown_open_until_its_model_answers(series: dict[str, Series]) -> None:
    async def fail(request: RenderRequest) -> RenderResult:
        raise RuntimeError

    models = {"a": {"kind": "echo"}, "b": {"kind": "echo"}}
    policy = "model_routing: []\ndefault: {model: a, fallback: [b]}\n"
    of = gateway(policy, models, {"a": fail}, observer=RayObserver())
    await of._flush_metrics()
    for _ in range(6):
        await of.dispatcher.dispatch(ImageJob("r1", time.monotonic(), AssetRequest("a fox"), (1,)))
    await of._flush_metrics()
    shown = series[telemetry.METRIC_BREAKER_OPEN].values
    assert shown == [(0, {"model": "a"}), (0, {"model": "b"}), (1, {"model": "a"}), (0, {"model": "b"})]

"""What a replica counts, by Ray's metrics: its load, and how the steps of its engine go.

Counts are added up here and passed on by `flush`, once a second, so that a step costs no call into Ray.
"""

import threading
from collections import defaultdict

from ray.serve import metrics as ray_metrics

from deployments import telemetry
from deployments.engine.work import Batch, Shape
from deployments.types import ModelLoad

MAX_SHAPES = 32
"""Clients choose sizes, and each shape is a time series: further shapes are counted together."""

OTHER_SHAPES = "other"

_BY_SHAPE = ("model", "shape")


class ReplicaMetrics:
    """Of the model `name`. A StepObserver; `flush` may be called from another thread than the steps'."""

    def __init__(self, name: str) -> None:
        self._model = name
        self._lock = threading.Lock()
        self._shapes: dict[Shape, str] = {}
        self._pending: defaultdict[tuple[ray_metrics.Counter, str], float] = defaultdict(float)
        self._caps: dict[str, int] = {}
        self._steps = ray_metrics.Counter(telemetry.METRIC_STEPS, "Denoiser calls", _BY_SHAPE)
        self._step_requests = ray_metrics.Counter(
            telemetry.METRIC_STEP_REQUESTS, "Requests in denoiser calls", _BY_SHAPE
        )
        self._step_seconds = ray_metrics.Counter(
            telemetry.METRIC_STEP_SECONDS, "Time of denoiser calls", _BY_SHAPE
        )
        self._predicted_seconds = ray_metrics.Counter(
            telemetry.METRIC_STEP_PREDICTED_SECONDS,
            "Predicted time of denoiser calls",
            _BY_SHAPE,
        )
        self._error_seconds = ray_metrics.Counter(
            telemetry.METRIC_STEP_ERROR_SECONDS, "Distance of each call's time from its prediction", _BY_SHAPE
        )
        self._out_of_memory = ray_metrics.Counter(
            telemetry.METRIC_STEP_OUT_OF_MEMORY, "Denoiser calls that ran out of memory", _BY_SHAPE
        )
        self._cap = ray_metrics.Gauge(
            telemetry.METRIC_BATCH_CAP, "Requests that may share a denoiser call", _BY_SHAPE
        )
        self._running = ray_metrics.Gauge(telemetry.METRIC_RUNNING, "Requests that have begun", ("model",))
        self._queued = ray_metrics.Gauge(telemetry.METRIC_QUEUED, "Requests that wait", ("model",))
        self._wait_ms = ray_metrics.Gauge(
            telemetry.METRIC_WAIT_MS, "Predicted time until a new request would begin", ("model",)
        )

    def stepped(self, batch: Batch, seconds: float, predicted_s: float | None, cap: int) -> None:
        with self._lock:
            shape = self._label(batch.shape)
            self._caps[shape] = cap
            self._pending[self._steps, shape] += 1
            self._pending[self._step_requests, shape] += len(batch.numbers)
            self._pending[self._step_seconds, shape] += seconds
            if predicted_s is not None:
                self._pending[self._predicted_seconds, shape] += predicted_s
                self._pending[self._error_seconds, shape] += abs(predicted_s - seconds)

    def did_not_fit(self, batch: Batch, cap: int) -> None:
        with self._lock:
            shape = self._label(batch.shape)
            self._caps[shape] = cap
            self._pending[self._out_of_memory, shape] += 1

    def flush(self, load: ModelLoad) -> None:
        """Passes on what was counted since. Ray drops a gauge that is not set again within minutes."""
        with self._lock:
            pending, self._pending = self._pending, defaultdict(float)
            caps = dict(self._caps)
        for (counter, shape), value in pending.items():
            if value > 0:  # Ray's counters refuse 0
                counter.inc(value, {"model": self._model, "shape": shape})
        for shape, cap in caps.items():
            self._cap.set(cap, {"model": self._model, "shape": shape})
        tags = {"model": self._model}
        self._running.set(load.running, tags)
        self._queued.set(load.queued, tags)
        self._wait_ms.set(load.wait_ms, tags)

    def _label(self, shape: Shape) -> str:
        if shape not in self._shapes and len(self._shapes) < MAX_SHAPES:
            self._shapes[shape] = str(shape)
        return self._shapes.get(shape, OTHER_SHAPES)

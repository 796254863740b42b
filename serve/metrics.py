"""What is counted, and through which means: Ray's metrics on a cluster, nothing in a test."""

from typing import Protocol

from ray.serve import metrics as ray_metrics

from serve import telemetry
from serve.schemas import Receipt

NOT_OURS = frozenset({"cancelled", "unsupported", "content_refused", "invalid_request"})
"""Ends of a request that say nothing about how well it was served."""


class Observer(Protocol):
    """Told of what happened. Must be cheap and must not raise."""

    def finished(self, receipt: Receipt) -> None: ...

    def refused(self, route: str, outcome: str, total_ms: float, budget_ms: float | None = None) -> None:
        """`budget_ms` is the budget that was missed, None where there was none or the caller's own limit was
        reached."""
        ...

    def spent(self, route: str, model: str, usd: float) -> None:
        """What a call of `model` cost, told when it ends, whatever becomes of the request."""
        ...

    def shadowed(self, route: str, model: str, outcome: str, total_ms: float) -> None: ...

    def policy_offered(self, accepted: bool) -> None: ...

    def batch_lines_left(self, count: int) -> None: ...

    def breaker(self, model: str, is_open: bool) -> None:
        """Told every second."""
        ...

    def flush(self) -> None:
        """Called every second: passes on what was gathered since."""
        ...


class NoObserver:
    """Counts nothing."""

    def finished(self, receipt: Receipt) -> None:
        return None

    def refused(self, route: str, outcome: str, total_ms: float, budget_ms: float | None = None) -> None:
        return None

    def spent(self, route: str, model: str, usd: float) -> None:
        return None

    def shadowed(self, route: str, model: str, outcome: str, total_ms: float) -> None:
        return None

    def policy_offered(self, accepted: bool) -> None:
        return None

    def batch_lines_left(self, count: int) -> None:
        return None

    def breaker(self, model: str, is_open: bool) -> None:
        return None

    def flush(self) -> None:
        return None


class RayObserver:
    """Counts with Ray's metrics, which Ray exports for Prometheus on every node.

    Counters are added up here and passed on by `flush`: a call into Ray for each would be a quarter of the
    router's own time on a request.
    """

    def __init__(self) -> None:
        self._pending: dict[tuple[ray_metrics.Counter, tuple[tuple[str, str], ...]], float] = {}
        self._is_stale = False
        self._batch_lines_left = 0
        self._requests = ray_metrics.Counter(
            telemetry.METRIC_REQUESTS, "Requests that ended", ("route", "model", "outcome")
        )
        self._duration_ms = ray_metrics.Histogram(
            telemetry.METRIC_DURATION_MS,
            "Time from arrival to answer",
            telemetry.DURATION_BOUNDARIES_MS,
            ("route", "outcome"),
        )
        self._budget = ray_metrics.Counter(
            telemetry.METRIC_BUDGET, "Requests with a latency budget", ("route", "met")
        )
        self._substitutions = ray_metrics.Counter(
            telemetry.METRIC_SUBSTITUTIONS, "Candidates that did not answer", ("route", "model", "outcome")
        )
        self._cache = ray_metrics.Counter(
            telemetry.METRIC_CACHE, "Images that equal requests may share", ("result",)
        )
        self._shadow_ms = ray_metrics.Histogram(
            telemetry.METRIC_SHADOW_MS,
            "Time of renders whose image is dropped",
            telemetry.DURATION_BOUNDARIES_MS,
            ("route", "model", "outcome"),
        )
        self._gpu_seconds = ray_metrics.Counter(
            telemetry.METRIC_GPU_SECONDS, "GPU time used, weighted by fraction", ("model",)
        )
        self._cost_usd = ray_metrics.Counter(telemetry.METRIC_COST_USD, "Cost of images", ("route", "model"))
        self._queue_ms = ray_metrics.Histogram(
            telemetry.METRIC_QUEUE_MS, "Time before work began", telemetry.DURATION_BOUNDARIES_MS, ("model",)
        )
        self._prediction_error = ray_metrics.Histogram(
            telemetry.METRIC_PREDICTION_ERROR,
            "Relative error of the predicted time",
            telemetry.RATIO_BOUNDARIES,
            ("model",),
        )
        self._reloads = ray_metrics.Counter(
            telemetry.METRIC_POLICY_RELOADS, "Policy texts offered", ("result",)
        )
        self._stale = ray_metrics.Gauge(
            telemetry.METRIC_POLICY_STALE, "1 while the newest policy text was refused"
        )
        self._batch_lines = ray_metrics.Gauge(
            telemetry.METRIC_BATCH_LINES, "Lines of batches that have not ended"
        )
        self._breaker_open = ray_metrics.Gauge(
            telemetry.METRIC_BREAKER_OPEN, "1 while requests pass a model by that kept failing", ("model",)
        )

    def finished(self, receipt: Receipt) -> None:
        route, model = receipt.route, receipt.model
        self._count(self._requests, 1, route=route, model=model, outcome=receipt.outcome)
        self._duration_ms.observe(receipt.total_ms, {"route": route, "outcome": receipt.outcome})
        if receipt.budget_ms is not None:
            met = str(receipt.total_ms <= receipt.budget_ms).lower()
            self._count(self._budget, 1, route=route, met=met)
        reused = any(image.cache in ("hit", "shared") for image in receipt.images)
        if receipt.predicted_ms > 0 and receipt.total_ms > 0 and not receipt.substituted and not reused:
            error = abs(receipt.predicted_ms - receipt.total_ms) / receipt.total_ms
            self._prediction_error.observe(error, {"model": model})
        for image in receipt.images:
            if image.cache != "off":
                self._count(self._cache, 1, result=image.cache)
            if image.cache in ("hit", "shared"):
                continue  # the request that had it made counts its stages
            for substitution in image.substitutions:
                failed, outcome = substitution.models[0], substitution.outcome
                self._count(self._substitutions, 1, route=route, model=failed, outcome=outcome)
            for stage in image.stages:
                self._queue_ms.observe(stage.queue_ms, {"model": stage.model})
                if stage.gpu_s:
                    self._count(self._gpu_seconds, stage.gpu_s, model=stage.model)

    def refused(self, route: str, outcome: str, total_ms: float, budget_ms: float | None = None) -> None:
        self._count(self._requests, 1, route=route, model="none", outcome=outcome)
        self._duration_ms.observe(max(total_ms, 0.001), {"route": route, "outcome": outcome})
        if budget_ms is not None and outcome not in NOT_OURS:
            self._count(self._budget, 1, route=route, met="false")

    def spent(self, route: str, model: str, usd: float) -> None:
        self._count(self._cost_usd, usd, route=route, model=model)

    def shadowed(self, route: str, model: str, outcome: str, total_ms: float) -> None:
        self._shadow_ms.observe(max(total_ms, 0.001), {"route": route, "model": model, "outcome": outcome})

    def policy_offered(self, accepted: bool) -> None:
        self._count(self._reloads, 1, result="accepted" if accepted else "refused")
        self._is_stale = not accepted

    def batch_lines_left(self, count: int) -> None:
        self._batch_lines_left = count

    def breaker(self, model: str, is_open: bool) -> None:
        self._breaker_open.set(int(is_open), {"model": model})

    def flush(self) -> None:
        # Ray drops a gauge that is not set again within minutes.
        self._stale.set(int(self._is_stale))
        self._batch_lines.set(self._batch_lines_left)
        pending, self._pending = self._pending, {}
        for (counter, tags), value in pending.items():
            counter.inc(value, dict(tags))

    def _count(self, counter: ray_metrics.Counter, value: float, **tags: str) -> None:
        key = (counter, tuple(tags.items()))
        self._pending[key] = self._pending.get(key, 0.0) + value

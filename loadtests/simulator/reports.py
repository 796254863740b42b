"""What replicas report of themselves to Ray's autoscaler, on simulated time.

A replica notes its own metrics (`record_autoscaling_stats`) from its start on and passes on what it noted;
the controller averages over what it was last told. The store and the average are Ray's own functions.
Knows nothing of requests or of who decides.
"""

from collections.abc import Mapping, Sequence

from ray.serve._private.common import TimeStampedValue
from ray.serve._private.metrics_utils import InMemoryMetricsStore, aggregate_timeseries
from ray.serve.config import AutoscalingConfig

_NO_TIME_S = 1e-3
"""Ray's: how long a value holds at least that was noted this very moment."""


class ReplicaReports:
    """The metrics of all replicas of one deployment: what each has noted, and what it last passed on."""

    def __init__(self, config: AutoscalingConfig) -> None:
        self._config = config
        self._noted: dict[str, InMemoryMetricsStore] = {}
        self._reported: dict[str, dict[str, list[TimeStampedValue]]] = {}

    def record(self, replica: str, at_s: float, values: Mapping[str, float]) -> None:
        self._store(replica).add_metrics_point(dict(values), at_s)

    def push(self, replica: str, now_s: float) -> None:
        """What was noted in the look-back period replaces the report before it."""
        store = self._store(replica)
        store.prune_keys_and_compact_data(now_s - self._config.look_back_period_s)
        self._reported[replica] = {str(name): list(points) for name, points in store.data.items()}

    def forget(self, replica: str) -> None:
        self._noted.pop(replica, None)
        self._reported.pop(replica, None)

    def aggregated(self, running: Sequence[str], now_s: float) -> dict[str, dict[str, float]]:
        """Metric to replica to its average over the reported period; the last value holds until now.
        Replicas that have reported nothing yet are missing."""
        found: dict[str, dict[str, float]] = {}
        for replica in running:
            for name, points in self._reported.get(replica, {}).items():
                found.setdefault(name, {})[replica] = self._average(points, now_s)
        return found

    def _average(self, points: list[TimeStampedValue], now_s: float) -> float:
        held_s = now_s - points[-1].timestamp
        average = aggregate_timeseries(
            points, self._config.aggregation_function, last_window_s=held_s if held_s > 0 else _NO_TIME_S
        )
        return 0.0 if average is None else float(average)

    def _store(self, replica: str) -> InMemoryMetricsStore:
        return self._noted.setdefault(replica, InMemoryMetricsStore())

"""Ray Serve's autoscaler of one deployment on simulated time.

The policy and its delay logic are Ray's own functions, as its controller installs them; reports.py has
what replicas report. What a handle samples and pushes, and how the controller averages it over the
look-back period, is written here for speed (Ray's takes numpy arrays, a hundred times per simulated ten
seconds); tests/loadtests/simulator holds it to Ray's own DeploymentAutoscalingState. Ray's names for these
functions are private: the version is pinned.
"""

import inspect
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ray.serve import autoscaling_policy as ray_policy
from ray.serve._private.common import DeploymentID
from ray.serve._private.constants import RAY_SERVE_AUTOSCALING_METRIC_RECORD_INTERVAL_FACTOR
from ray.serve.config import AutoscalingConfig, AutoscalingContext

from loadtests.simulator.reports import ReplicaReports

Clock = Callable[[], float]
CONTROL_LOOP_S = 0.1
_QUEUED = "queued"
_NO_TIME_S = 1e-3


class _SimulatedTime:
    """Stands where Ray's policy module has the `time` module."""

    def __init__(self, clock: Clock) -> None:
        self.time = clock
        self.monotonic = clock


@contextmanager
def ray_policies_on(clock: Clock) -> Iterator[None]:
    """Inside, Ray's delay logic reads `clock`. For one thread that runs no live Ray Serve controller."""
    real = ray_policy.time
    ray_policy.time = _SimulatedTime(clock)
    try:
        yield
    finally:
        ray_policy.time = real


@dataclass(frozen=True, slots=True)
class Sample:
    """What a handle saw at one moment: requests that wait in it, and those it has at each replica."""

    at_s: float
    queued: int
    running: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class _Steps:
    """A step function: `totals[i]` holds from `times[i]` on. Averages start at `window_s`."""

    times: Sequence[float]
    totals: Sequence[float]
    window_s: float


class Autoscaler:
    """`reports` are the replicas' own metrics, for a policy that reads them."""

    def __init__(self, name: str, config: AutoscalingConfig) -> None:
        self.config = config
        self.reports = ReplicaReports(config)
        self.record_interval_s = min(
            config.look_back_period_s * RAY_SERVE_AUTOSCALING_METRIC_RECORD_INTERVAL_FACTOR,
            config.metrics_interval_s,
        )
        self.push_interval_s = config.metrics_interval_s
        self._id = DeploymentID(name, "simulated")
        policy = config.policy.get_policy()
        if inspect.isclass(policy):
            policy = policy(**config.policy.policy_kwargs)
        self._policy = ray_policy._apply_autoscaling_config(policy)
        self._state: dict[str, Any] = {}
        self._samples: list[Sample] = []
        self._reported: list[Sample] = []
        self._steps: tuple[frozenset[str], _Steps | None, _Steps | None] | None = None

    def record(self, sample: Sample) -> None:
        self._samples.append(sample)
        self._prune(sample.at_s)

    def push(self, now: Sample) -> None:
        """The handle reports its samples; before it has any, how things are now."""
        self._prune(now.at_s)
        self._reported = list(self._samples) or [now]
        self._steps = None

    def decide(self, now_s: float, running: Sequence[str], target: int) -> int:
        """The number of replicas to aim for, inside the bounds."""
        context = AutoscalingContext(
            deployment_id=self._id,
            deployment_name=self._id.name,
            app_name=self._id.app_name,
            current_num_replicas=len(running),
            target_num_replicas=target,
            running_replicas=list(running),
            total_num_requests=lambda: self.total_requests(now_s, running),
            total_queued_requests=lambda: self.queued_requests(now_s, running),
            aggregated_metrics=lambda: self.reports.aggregated(running, now_s),
            raw_metrics={},
            capacity_adjusted_min_replicas=self.config.min_replicas,
            capacity_adjusted_max_replicas=self.config.max_replicas,
            policy_state=dict(self._state),
            last_scale_up_time=None,
            last_scale_down_time=None,
            current_time=now_s,
            config=self.config,
        )
        wanted, state = self._policy(context)
        self._state = state or {}
        bounded: int = max(self.config.min_replicas, min(self.config.max_replicas, math.ceil(wanted)))
        return bounded

    def total_requests(self, now_s: float, running: Sequence[str]) -> float:
        return _average(self._current_steps(running)[0], now_s)

    def queued_requests(self, now_s: float, running: Sequence[str]) -> float:
        return _average(self._current_steps(running)[1], now_s)

    def _current_steps(self, running: Sequence[str]) -> tuple[_Steps | None, _Steps | None]:
        key = frozenset(running)
        if self._steps is None or self._steps[0] != key:
            sources = _sources(self._reported, key)
            queued = {_QUEUED: sources[_QUEUED]} if _QUEUED in sources else {}
            self._steps = (key, _merge(sources), _merge(queued))
        return self._steps[1], self._steps[2]

    def _prune(self, now_s: float) -> None:
        oldest_s = now_s - self.config.look_back_period_s
        kept = 0
        while kept < len(self._samples) and self._samples[kept].at_s < oldest_s:
            kept += 1
        if kept:
            del self._samples[:kept]


_Points = list[tuple[float, float]]


def _sources(samples: Sequence[Sample], running: frozenset[str]) -> dict[str, _Points]:
    """One series for the queue and one for each replica that still runs."""
    sources: dict[str, _Points] = {}
    for sample in samples:
        sources.setdefault(_QUEUED, []).append((sample.at_s, float(sample.queued)))
        for replica, count in sample.running.items():
            if replica in running:
                sources.setdefault(replica, []).append((sample.at_s, float(count)))
    return sources


def _merge(sources: Mapping[str, _Points]) -> _Steps | None:
    """Ray's `merge_instantaneous_total_arrays`: the sum of step functions, its times in whole 10 ms. The
    window opens when every source has spoken. A single source is taken as it is."""
    if not sources:
        return None
    if len(sources) == 1:
        (points,) = sources.values()
        return _Steps([at_s for at_s, _ in points], [value for _, value in points], points[0][0])
    changes: dict[float, float] = {}
    for points in sources.values():
        before = 0.0
        for at_s, value in points:
            if value != before:
                moment = math.floor(at_s * 100.0 + 0.5) / 100.0
                changes[moment] = changes.get(moment, 0.0) + value - before
                before = value
    if not changes:
        return None
    times = sorted(changes)
    totals: list[float] = []
    for moment in times:
        totals.append((totals[-1] if totals else 0.0) + changes[moment])
    aligned_s = max(points[0][0] for points in sources.values())
    return _Steps(times, totals, max(aligned_s, times[0]) if aligned_s <= times[-1] else times[0])


def _average(steps: _Steps | None, now_s: float) -> float:
    """Ray's `time_weighted_average_arrays`: the last value holds until now."""
    if steps is None:
        return 0.0
    times, totals = steps.times, steps.totals
    end_s = now_s if now_s > times[-1] else times[-1] + _NO_TIME_S
    area = 0.0
    for index, total in enumerate(totals):
        from_s = max(times[index], steps.window_s)
        to_s = times[index + 1] if index + 1 < len(times) else end_s
        if to_s > from_s:
            area += total * (to_s - from_s)
    length_s = end_s - steps.window_s
    return area / length_s if length_s > 0 else 0.0

"""A Ray Serve autoscaling policy on predicted work instead of request counts.

Thirty steps at a megapixel are not the same load as four steps at a quarter: replicas report the seconds
of work they hold, predicted from steps, pixels and images, and the policy wants so many replicas that
each holds `target_work_s`. It looks ahead by the time a replica needs to start, and keeps warm spares.
Until a replica counts, the router's ladder answers with less: downgrade first, scale second.

`wanted_replicas` is a pure function; the class around it only reads Ray's context, so that live traffic
and simulations are decided by the same code. Ray applies bounds, factors and delays to what it returns.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ray.serve.config import AutoscalingConfig, AutoscalingContext, AutoscalingPolicy

from deployments.spec import Autoscaling, WorkScaling

WORK_METRIC = "work_s"
"""Seconds of predicted work a replica holds, as `record_autoscaling_stats` reports it."""

REQUEST_METRIC = "request_work_s"
"""Mean predicted seconds of work of the requests a replica took lately."""

_STATE = "atelier_work"


@dataclass(frozen=True, slots=True)
class Load:
    """All work that waits or runs, in predicted seconds, and the time it was read."""

    work_s: float
    now_s: float


@dataclass(frozen=True, slots=True)
class Memory:
    """What the policy keeps between decisions: smoothed work, its growth per second, and when it last saw
    any work."""

    now_s: float
    work_s: float
    growth: float = 0.0
    busy_at_s: float | None = None


def wanted_replicas(load: Load, memory: Memory | None, scaling: WorkScaling) -> tuple[int, Memory]:
    """Replicas for the load that is, or for the one that is coming if that is more.

    Growth is the slope of an exponentially smoothed load, itself smoothed (Holt 1957). No load and none in
    the last `spare_idle_s` wants nothing: Ray's bounds decide.
    """
    memory = _observed(load, memory, scaling.smoothing_s)
    expected_s = max(load.work_s, load.work_s + memory.growth * scaling.lead_s)
    needed = math.ceil(expected_s / scaling.target_work_s - 1e-9)
    recently = memory.busy_at_s is not None and load.now_s - memory.busy_at_s <= scaling.spare_idle_s
    return needed + (scaling.warm_spares if recently else 0), memory


def _observed(load: Load, memory: Memory | None, smoothing_s: float) -> Memory:
    busy_at_s = load.now_s if load.work_s > 0 else (memory.busy_at_s if memory else None)
    if memory is None:
        return Memory(load.now_s, load.work_s, 0.0, busy_at_s)
    elapsed_s = load.now_s - memory.now_s
    if elapsed_s <= 0:
        return Memory(memory.now_s, memory.work_s, memory.growth, busy_at_s)
    share = 1 - math.exp(-elapsed_s / smoothing_s)
    expected_s = memory.work_s + memory.growth * elapsed_s
    work_s = expected_s + share * (load.work_s - expected_s)
    growth = memory.growth + share * ((work_s - memory.work_s) / elapsed_s - memory.growth)
    return Memory(load.now_s, work_s, growth, busy_at_s)


def autoscaling_config(
    autoscaling: Autoscaling, work_scaling: WorkScaling | None = None
) -> AutoscalingConfig:
    """What Ray Serve's controller gets for a model; a simulation asks for the same."""
    options = autoscaling.model_dump(exclude_none=True)
    if work_scaling is not None:
        options["policy"] = AutoscalingPolicy(
            policy_function="deployments.autoscaling:WorkAutoscalingPolicy",
            policy_kwargs=work_scaling.model_dump(),
        )
    return AutoscalingConfig(**options)


class WorkAutoscalingPolicy:
    """What Ray calls at each tick. `scaling` are the fields of WorkScaling."""

    def __init__(self, **scaling: Any) -> None:
        self._scaling = WorkScaling(**scaling)

    def __call__(self, context: AutoscalingContext) -> tuple[float, dict[str, Any]]:
        known = context.policy_state.get(_STATE)
        now_s = 0.0 if context.current_time is None else float(context.current_time)
        load = Load(self._work_s(context), now_s)
        wanted, memory = wanted_replicas(load, Memory(**known) if known else None, self._scaling)
        return wanted, {_STATE: asdict(memory)}

    def _work_s(self, context: AutoscalingContext) -> float:
        """Work at replicas, and of what still waits in handles. Before any replica knows what a request
        costs, requests are counted."""
        reported: Mapping[str, Mapping[Any, float]] = context.aggregated_metrics or {}
        costs = [cost for cost in reported.get(REQUEST_METRIC, {}).values() if cost > 0]
        if not costs:
            return float(context.total_num_requests) * self._scaling.request_work_s
        held_s = sum(reported.get(WORK_METRIC, {}).values())
        return float(held_s) + float(context.total_queued_requests) * sum(costs) / len(costs)

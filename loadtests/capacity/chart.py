"""A plan as values of the Helm chart: shares, replicas, worker groups. Laid over values that say the rest."""

import math
import re
from collections.abc import Mapping
from typing import Any

from loadtests.capacity.document import GpuEntry
from loadtests.capacity.plan import Placement, Plan

HEADER = """\
# Written by `atelier plan`. Lay it over the values that say what the models are:
#   helm upgrade REL helm/atelier -f values.yaml -f this-file.yaml
# Helm replaces lists as a whole: workerGroups here are all there are.
"""

# Routers and models without a GPU need nodes too.
CPU_GROUP: Mapping[str, Any] = {
    "name": "cpu",
    "minReplicas": 1,
    "maxReplicas": 4,
    "resources": {"cpu": 4, "memory": "8Gi", "ephemeral-storage": "25Gi"},
}
TOLERATION = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}


def chart_values(plan: Plan, gpus: Mapping[str, GpuEntry]) -> dict[str, Any]:
    return {
        "models": {each.name: _model(each, gpus[each.option.gpu]) for each in plan.placements},
        "workerGroups": [
            dict(CPU_GROUP),
            *(_worker_group(name, gpus[name], count) for name, count in plan.gpus().items()),
        ],
    }


def _model(placement: Placement, gpu: GpuEntry) -> dict[str, Any]:
    option = placement.option
    return {
        "num_gpus": option.percent / 100 if option.percent < 100 else 1,
        "accelerator_type": gpu.accelerator_type,
        "max_ongoing_requests": option.batch,
        "autoscaling": {
            "min_replicas": option.replicas,
            "max_replicas": option.replicas,
            "target_ongoing_requests": option.batch,
        },
        "pricing": {"usd_per_gpu_hour": gpu.usd_per_hour},
    }


def _worker_group(name: str, gpu: GpuEntry, count: int) -> dict[str, Any]:
    nodes = math.ceil(count / gpu.per_node)
    group = {
        "name": re.sub(r"[^a-z0-9-]", "-", name).strip("-"),
        "minReplicas": nodes,
        "maxReplicas": nodes,
        "gpu": {
            "count": gpu.per_node,
            "resourceName": "nvidia.com/gpu",
            "acceleratorType": gpu.accelerator_type,
        },
        "resources": {
            "cpu": gpu.cpu,
            "memory": gpu.memory or f"{math.ceil((gpu.memory_gib or 16) * gpu.per_node)}Gi",
            "ephemeral-storage": "60Gi",
        },
        "tolerations": [dict(TOLERATION)],
    }
    if gpu.product is not None:
        group["nodeSelector"] = {"nvidia.com/gpu.product": gpu.product}
    return group

"""What GPUs a cluster has, from its nodes' labels and allocatable resources.

Counts what nodes offer, whether or not something else uses it. Knows nothing of plans.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from kubernetes import client as kubernetes_client

from serve.kubernetes_api import CONNECT_TIMEOUT_S, FAILURES, ClusterError, brief

PRODUCT = "nvidia.com/gpu.product"
MEMORY_MIB = "nvidia.com/gpu.memory"
SLICES = "nvidia.com/gpu.replicas"
GPUS = "nvidia.com/gpu"

PAGE = 500
READ_TIMEOUT_S = 30.0

_QUANTITY = re.compile(r"^([0-9]+(?:\.[0-9]+)?)([numkMGTPE]|[KMGTPE]i)?$")
_FACTORS: dict[str | None, float] = {
    None: 1.0,
    "n": 1e-9,
    "u": 1e-6,
    "m": 1e-3,
    **{letter: 1000.0**power for power, letter in enumerate("kMGTPE", start=1)},
    **{f"{letter}i": 1024.0**power for power, letter in enumerate("KMGTPE", start=1)},
}


@dataclass(frozen=True, slots=True)
class NodeGroup:
    """Nodes with the same kind of GPU. `per_node`, `cpus` and `memory_bytes` are those of the smallest node;
    `gpu_memory_bytes` is None where the label is missing. `sliced`: the device plugin offers each GPU several
    times, and `gpus` counts it once."""

    product: str
    gpus: int
    per_node: int
    gpu_memory_bytes: int | None
    cpus: float
    memory_bytes: int
    sliced: bool = False


def read_node_groups(client: Any) -> Sequence[NodeGroup]:
    """Of nodes that take pods. Raises ClusterError."""
    return grouped(_nodes(kubernetes_client.CoreV1Api(client)))


def grouped(nodes: Iterable[Any]) -> Sequence[NodeGroup]:
    """`nodes` are V1Node objects."""
    by_product: dict[str, list[NodeGroup]] = {}
    for node in nodes:
        group = _group_of(node)
        if group is not None:
            by_product.setdefault(group.product, []).append(group)
    return [_joined(by_product[product]) for product in sorted(by_product)]


def quantity(text: str) -> float:
    """A Kubernetes quantity as a number: 500m is 0.5, 64Gi is 68719476736."""
    match = _QUANTITY.match(text)
    if match is None:
        raise ClusterError(f"{text!r} is not a Kubernetes quantity")
    return float(match[1]) * _FACTORS[match[2]]


def _nodes(core: Any) -> Iterable[Any]:
    page = ""
    while True:
        try:
            answer = core.list_node(
                limit=PAGE, _continue=page, _request_timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S)
            )
        except FAILURES as error:
            raise ClusterError(_why(error)) from None
        yield from answer.items
        page = answer.metadata._continue or ""
        if not page:
            return


def _why(error: BaseException) -> str:
    if getattr(error, "status", None) in (401, 403):
        return f"nodes cannot be listed: {brief(error)}; the account needs a ClusterRole with `list` on nodes"
    return f"nodes cannot be listed: {brief(error)}"


def _group_of(node: Any) -> NodeGroup | None:
    """None for a node without GPUs, or one that takes no pods."""
    labels, offered = node.metadata.labels or {}, node.status.allocatable or {}
    slices = max(1, int(labels.get(SLICES) or 1))
    gpus = int(quantity(offered.get(GPUS, "0"))) // slices
    if gpus == 0 or node.spec.unschedulable:
        return None
    memory_mib = labels.get(MEMORY_MIB)
    return NodeGroup(
        product=labels.get(PRODUCT, "unknown"),
        gpus=gpus,
        per_node=gpus,
        gpu_memory_bytes=int(memory_mib) << 20 if memory_mib else None,
        cpus=quantity(offered.get("cpu", "0")),
        memory_bytes=int(quantity(offered.get("memory", "0"))),
        sliced=slices > 1,
    )


def _joined(groups: Sequence[NodeGroup]) -> NodeGroup:
    memory = [each.gpu_memory_bytes for each in groups if each.gpu_memory_bytes is not None]
    return NodeGroup(
        product=groups[0].product,
        gpus=sum(each.gpus for each in groups),
        per_node=min(each.per_node for each in groups),
        gpu_memory_bytes=min(memory) if memory else None,
        cpus=min(each.cpus for each in groups),
        memory_bytes=min(each.memory_bytes for each in groups),
        sliced=any(each.sliced for each in groups),
    )

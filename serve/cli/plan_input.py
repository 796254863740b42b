"""From a plan's file, measured profiles and a cluster's nodes to what the planner takes."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from deployments.engine.profile import Profile, ShapeProfile, read_profile
from loadtests.capacity.document import (
    GpuEntry,
    ModelEntry,
    PlanDocument,
    PlanError,
    TimesEntry,
    given_times,
    limited,
)
from loadtests.capacity.options import GIB, GpuType, ModelNeed, Rules
from loadtests.capacity.times import ImageTimes
from serve.cli.nodes import NodeGroup

NODE_SHARE = 0.9
"""Of a node's allocatable CPU and memory for a Ray pod; the rest is for what runs on every node."""


@dataclass(frozen=True, slots=True)
class PlanInput:
    needs: Sequence[ModelNeed]
    gpus: Sequence[GpuType]
    rules: Rules


def plan_input(document: PlanDocument, folder: Path) -> PlanInput:
    """Profiles are read relative to `folder`. Raises PlanError."""
    return PlanInput(
        [_need(name, model, folder) for name, model in document.models.items()],
        [_gpu_type(name, gpu) for name, gpu in document.gpus.items()],
        Rules(document.utilisation_ratio, document.interference_ratio, int(document.context_gib * GIB)),
    )


def with_cluster(
    gpus: Mapping[str, GpuEntry], groups: Sequence[NodeGroup]
) -> tuple[dict[str, GpuEntry], list[str]]:
    """What the file leaves open, filled in from the cluster; and what a reader should know. Raises
    PlanError."""
    found = {group.product: group for group in groups}
    products = ", ".join(found) or "no GPUs"
    entries: dict[str, GpuEntry] = {}
    for name, gpu in gpus.items():
        if gpu.product is None:
            raise PlanError(f"gpus.{name}.product: needed to find it in the cluster, which has {products}")
        group = found.pop(gpu.product, None)
        entries[name] = gpu.model_copy(update={"available": 0} if group is None else _filled(gpu, group))
    notes = [
        f"the cluster has {each.gpus} x {each.product}, which the file gives no price: left out"
        for each in found.values()
    ]
    notes += [
        f"{each.product} is offered several times by its device plugin: counted once, since shares are Ray's"
        for each in groups
        if each.sliced
    ]
    notes += [
        f"gpus.{name}: the cluster has no {gpu.product}; it has {products}"
        for name, gpu in entries.items()
        if gpu.available == 0
    ]
    return entries, notes


def _filled(gpu: GpuEntry, group: NodeGroup) -> dict[str, object]:
    memory_gib = gpu.memory_gib or (group.gpu_memory_bytes or 0) / GIB
    available = group.gpus if gpu.available is None else min(gpu.available, group.gpus)
    return {
        "memory_gib": memory_gib or None,
        "available": available,
        "per_node": group.per_node,
        "cpu": max(1, math.floor(NODE_SHARE * group.cpus)),
        "memory": f"{max(1, math.floor(NODE_SHARE * group.memory_bytes / GIB))}Gi",
    }


def _gpu_type(name: str, gpu: GpuEntry) -> GpuType:
    if gpu.memory_gib is None and gpu.available == 0:
        return GpuType(name, 0, gpu.usd_per_hour, 0)
    if gpu.memory_gib is None:
        raise PlanError(f"gpus.{name}.memory_gib: missing, and no node label says it")
    return GpuType(name, int(gpu.memory_gib * GIB), gpu.usd_per_hour, gpu.available)


def _need(name: str, model: ModelEntry, folder: Path) -> ModelNeed:
    times: dict[str, ImageTimes] = {}
    measured_bytes = 0
    for gpu, entry in model.times.items():
        where = f"models.{name}.times.{gpu}"
        if entry.profile is None:
            times[gpu] = given_times(entry, where)
        else:
            profile = _profile(folder / entry.profile, where)
            times[gpu] = _measured_times(profile, entry, where)
            measured_bytes = max(measured_bytes, profile.memory_bytes)
    if model.memory_gib is None and measured_bytes == 0:
        raise PlanError(
            f"models.{name}.memory_gib: missing, and no profile of this model has measured it on a GPU"
        )
    return ModelNeed(
        name,
        memory_bytes=int(model.memory_gib * GIB) if model.memory_gib is not None else measured_bytes,
        images_per_s=model.images_per_s,
        times=times,
        max_latency_s=math.inf if model.max_latency_ms is None else model.max_latency_ms / 1000,
        min_replicas=model.min_replicas,
    )


def _profile(file: Path, where: str) -> Profile:
    try:
        return read_profile(file)
    except ValueError as error:
        raise PlanError(f"{where}: {error}") from None


def _measured_times(profile: Profile, entry: TimesEntry, where: str) -> ImageTimes:
    shapes = [each for each in profile.shapes if (each.width, each.height) == (entry.width, entry.height)]
    if not shapes:
        sizes = ", ".join(f"{each.width}x{each.height}" for each in profile.shapes) or "none"
        raise PlanError(f"{where}: the profile has no {entry.width}x{entry.height}; it has {sizes}")
    slowest = max(shapes, key=lambda each: each.step_per_request_s)
    return limited(_times(slowest, entry.steps or 1), entry.max_batch)


def _times(shape: ShapeProfile, steps: int) -> ImageTimes:
    return ImageTimes(
        fixed_s=steps * shape.step_fixed_s,
        each_s=steps * shape.step_per_request_s,
        beside_s=shape.prepare_s + shape.decode_s,
        max_batch=shape.max_batch,
    )

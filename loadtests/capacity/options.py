"""How one model may run on one type of GPU: how many replicas, each with which share of a GPU.

A share is sized for both memory and compute, so that any replicas whose shares add up to one GPU fit on it
together: Ray counts shares and nothing else when it places replicas. Knows nothing of other models.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from loadtests.capacity.times import ImageTimes

GIB = 1 << 30
OPTIONS_KEPT = 8


@dataclass(frozen=True, slots=True)
class GpuType:
    """`available` is how many there are; None: as many as are paid for."""

    name: str
    memory_bytes: int
    usd_per_hour: float
    available: int | None = None


@dataclass(frozen=True, slots=True)
class ModelNeed:
    """`memory_bytes` is a replica's peak on the GPU, its process's own share (context) not counted.
    `images_per_s` is the load at its peak, `max_latency_s` the time that one image may take; `times` by name
    of the GPU type."""

    name: str
    memory_bytes: int
    images_per_s: float
    times: Mapping[str, ImageTimes]
    max_latency_s: float = math.inf
    min_replicas: int = 1


@dataclass(frozen=True, slots=True)
class Rules:
    """`utilisation_ratio`: how busy a GPU may be by plan, the rest is for bursts. `interference_ratio`: how
    much longer work takes on a GPU that is shared, beside waiting for the neighbours' work. `context_bytes`:
    what each process on a GPU holds outside its allocator."""

    utilisation_ratio: float = 0.7
    interference_ratio: float = 0.1
    context_bytes: int = GIB // 2


@dataclass(frozen=True, slots=True)
class Option:
    """`percent` of a GPU for each replica; 100 means alone. `batch` is the largest that keeps the latency
    budget, `latency_s` what an image takes in it, `gpu_s_per_image` the GPU time of one image in it."""

    gpu: str
    replicas: int
    percent: int
    batch: int
    latency_s: float
    gpu_s_per_image: float


@dataclass(frozen=True, slots=True)
class Unsuited:
    """Why a model cannot run on a type of GPU, in a sentence."""

    gpu: str
    reason: str


def options(need: ModelNeed, gpu: GpuType, rules: Rules) -> Sequence[Option] | Unsuited:
    """What is worth trying, the least GPU time first: no other option has both fewer and smaller replicas."""
    times = need.times.get(gpu.name)
    if times is None:
        return Unsuited(gpu.name, f"no times are given for {gpu.name}")
    memory_bytes = need.memory_bytes + rules.context_bytes
    if memory_bytes > gpu.memory_bytes:
        return Unsuited(
            gpu.name,
            f"needs {memory_bytes / GIB:.1f} GiB, {gpu.name} has {gpu.memory_bytes / GIB:.1f} GiB",
        )
    if times.latency_s(1) > need.max_latency_s:
        return Unsuited(
            gpu.name,
            f"an image takes {times.latency_s(1):.2f} s alone on {gpu.name}, its budget is "
            f"{need.max_latency_s:.2f} s",
        )
    least_percent = math.ceil(100 * memory_bytes / gpu.memory_bytes)
    found = list(_not_dominated(need, gpu.name, times, least_percent, rules))
    found.sort(key=lambda option: (option.replicas * option.percent, option.percent))
    return found[:OPTIONS_KEPT]


def slowdown(percent: int, rules: Rules) -> float:
    """How much longer work takes on a GPU whose other shares are as busy as planned: processor sharing, where
    a job of length x takes x / (1 - load of the others) in the mean (Kleinrock 1967)."""
    if percent == 100:
        return 1.0
    others = rules.utilisation_ratio * (100 - percent) / 100
    return (1 + rules.interference_ratio) / (1 - others)


def busy_ratio(option: Option, images_per_s: float, rules: Rules) -> float:
    """Of the time that the replicas' shares grant, how much this load takes."""
    loss = 1 + rules.interference_ratio if option.percent < 100 else 1.0
    return images_per_s * option.gpu_s_per_image * loss / (option.replicas * option.percent / 100)


def _not_dominated(
    need: ModelNeed, gpu: str, times: ImageTimes, least_percent: int, rules: Rules
) -> Iterator[Option]:
    """From small shares to large: a larger one is worth it only for fewer replicas."""
    fewest = math.inf
    for percent in range(least_percent, 101):
        option = _option(need, gpu, times, percent, rules)
        if option is not None and option.replicas < fewest:
            fewest = option.replicas
            yield option


def _option(need: ModelNeed, gpu: str, times: ImageTimes, percent: int, rules: Rules) -> Option | None:
    """None if an image takes too long on so shared a GPU."""
    slower = slowdown(percent, rules)
    batch = times.largest_batch(need.max_latency_s / slower)
    if batch == 0:
        return None
    one = Option(gpu, 1, percent, batch, times.latency_s(batch) * slower, times.gpu_s_per_image(batch))
    busy = busy_ratio(one, need.images_per_s, rules)
    replicas = max(need.min_replicas, math.ceil(busy / rules.utilisation_ratio - 1e-9), 1)
    return Option(gpu, replicas, percent, batch, one.latency_s, one.gpu_s_per_image)

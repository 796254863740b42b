"""From what models need to a plan: who shares which GPU, what it costs, what does not fit and why.

Pure: reads no file, asks no cluster.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from loadtests.capacity.options import (
    GpuType,
    ModelNeed,
    Option,
    Rules,
    Unsuited,
    busy_ratio,
    options,
)
from loadtests.capacity.packing import Packing, cheapest


@dataclass(frozen=True, slots=True)
class Placement:
    """A model of the plan. `headroom_ratio`: how much its load may grow until its shares are busy all the
    time. `usd_per_1000_images` is what its shares of GPUs cost, parts that nobody holds left out."""

    name: str
    option: Option
    headroom_ratio: float
    usd_per_1000_images: float


@dataclass(frozen=True, slots=True)
class Device:
    """One GPU: the models of its replicas, the memory they need at their peak, the percents they hold."""

    gpu: str
    models: Sequence[str]
    memory_bytes: int
    memory_ratio: float
    percent: int


@dataclass(frozen=True, slots=True)
class LeftOut:
    name: str
    reasons: Sequence[str]


@dataclass(frozen=True, slots=True)
class Plan:
    """`saving_bound_ratio`: no packing is cheaper by more than this part; 0 where the best was proven."""

    placements: Sequence[Placement]
    devices: Sequence[Device]
    left_out: Sequence[LeftOut]
    usd_per_hour: float
    usd_per_1000_images: float
    saving_bound_ratio: float

    def gpus(self) -> Mapping[str, int]:
        """How many of each type."""
        counts: dict[str, int] = {}
        for device in self.devices:
            counts[device.gpu] = counts.get(device.gpu, 0) + 1
        return counts


def make_plan(needs: Sequence[ModelNeed], gpus: Sequence[GpuType], rules: Rules) -> Plan:
    """`needs` in the order of their importance: where GPUs do not suffice, the last go first."""
    possible: dict[str, list[Option]] = {}
    left_out: list[LeftOut] = []
    for need in needs:
        found = [options(need, gpu, rules) for gpu in gpus]
        fitting = [option for each in found if not isinstance(each, Unsuited) for option in each]
        if fitting:
            possible[need.name] = fitting
        else:
            left_out.append(LeftOut(need.name, [each.reason for each in found if isinstance(each, Unsuited)]))
    packing, crowded_out = _as_many_as_fit(possible, gpus)
    left_out += [LeftOut(name, [_shortage(possible[name], gpus)]) for name in crowded_out]
    return _described(packing, {need.name: need for need in needs}, gpus, rules, left_out)


def _as_many_as_fit(
    possible: Mapping[str, Sequence[Option]], gpus: Sequence[GpuType]
) -> tuple[Packing, Sequence[str]]:
    """Everything if it fits; otherwise one model after the other in their order, each if it still fits."""
    packing = cheapest(possible, gpus)
    if packing is not None:
        return packing, ()
    packing, kept, crowded_out = Packing({}, {}, 0.0, 0.0), dict[str, Sequence[Option]](), []
    for name, choices in possible.items():
        larger = cheapest({**kept, name: choices}, gpus)
        if larger is None:
            crowded_out.append(name)
        else:
            kept[name] = choices
            packing = larger
    return packing, crowded_out


def _shortage(choices: Sequence[Option], gpus: Sequence[GpuType]) -> str:
    least = min(choices, key=lambda option: option.replicas * option.percent)
    available = ", ".join(f"{gpu.available} {gpu.name}" for gpu in gpus if gpu.available is not None)
    return (
        f"the GPUs do not suffice: it needs at least {least.replicas} x {least.percent / 100:g} {least.gpu} "
        f"beside the models before it; available are {available}"
    )


def _described(
    packing: Packing,
    needs: Mapping[str, ModelNeed],
    gpus: Sequence[GpuType],
    rules: Rules,
    left_out: Sequence[LeftOut],
) -> Plan:
    types = {gpu.name: gpu for gpu in gpus}
    placements = [
        _placement(needs[name], option, types[option.gpu], rules)
        for name, option in sorted(packing.chosen.items())
    ]
    devices = [
        _device(types[gpu], names, packing, needs, rules)
        for gpu, each in packing.devices.items()
        for names in each
    ]
    images_per_hour = 3600 * sum(needs[name].images_per_s for name in packing.chosen)
    usd = packing.usd_per_hour
    return Plan(
        placements,
        devices,
        left_out,
        usd_per_hour=usd,
        usd_per_1000_images=1000 * usd / images_per_hour if images_per_hour else 0.0,
        saving_bound_ratio=1 - packing.bound_usd_per_hour / usd if usd else 0.0,
    )


def _placement(need: ModelNeed, option: Option, gpu: GpuType, rules: Rules) -> Placement:
    usd_per_hour = option.replicas * option.percent / 100 * gpu.usd_per_hour
    return Placement(
        need.name,
        option,
        headroom_ratio=1 / busy_ratio(option, need.images_per_s, rules) - 1,
        usd_per_1000_images=1000 * usd_per_hour / (3600 * need.images_per_s),
    )


def _device(
    gpu: GpuType, names: Sequence[str], packing: Packing, needs: Mapping[str, ModelNeed], rules: Rules
) -> Device:
    memory_bytes = sum(needs[name].memory_bytes + rules.context_bytes for name in names)
    percent = sum(packing.chosen[name].percent for name in names)
    return Device(gpu.name, sorted(names), memory_bytes, memory_bytes / gpu.memory_bytes, percent)

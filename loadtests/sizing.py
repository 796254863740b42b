"""How many GPUs of which kind a load needs, by simulation, and how it would be with more load.

Every probe simulates the whole service with so many GPUs of a kind; models may have as many replicas as fit.
The fewest that keep the promise are found by doubling and halving, which takes it that more GPUs do not
break more promises. Knows nothing of how results are shown.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from loadtests.simulator.simulation import simulate
from loadtests.simulator.world import SimulatedModel, World
from loadtests.traffic import Traffic
from loadtests.workload import Call

SPREAD_S = 30.0
"""A repeated call comes up to this much before or after the one it repeats."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of GPU. `speed` is relative to the one the world's times were measured on (1)."""

    name: str
    speed: float = 1.0
    usd_per_gpu_hour: float = 0.0


@dataclass(frozen=True, slots=True)
class Probe:
    """What `gpus` of a kind make of `load` times the traffic. `gpu_hours` are those that replicas held."""

    kind: Kind
    load: float
    gpus: int
    p50_ms: float | None
    p99_ms: float | None
    violation_ratio: float
    gpu_hours: float
    duration_s: float

    @property
    def usd_per_hour(self) -> float:
        """Of all GPUs, whether replicas held them or not."""
        return self.gpus * self.kind.usd_per_gpu_hour

    @property
    def used_ratio(self) -> float:
        """Share of the GPUs' time that replicas held."""
        available = self.gpus * self.duration_s / 3600
        return self.gpu_hours / available if available else 0.0


@dataclass(frozen=True, slots=True)
class Answer:
    """For one kind. `enough` is the fewest GPUs that keep the promise at the load as it is, None where the
    most allowed do not; `more` is that many at each greater load; `probes` all that was tried."""

    kind: Kind
    enough: Probe | None
    more: Sequence[Probe]
    probes: Sequence[Probe]


def capacity(
    world: World,
    traffic: Traffic,
    kinds: Sequence[Kind],
    *,
    max_violation_ratio: float,
    max_gpus: int = 64,
    usd_per_hour: float | None = None,
    loads: Sequence[float] = (2.0,),
    seed: int = 0,
    progress: Callable[[Probe], None] = lambda probe: None,
) -> list[Answer]:
    """One answer for each kind. `usd_per_hour` bounds what all GPUs of a kind may cost together."""
    heavier = [(load, repeated(traffic, load, seed)) for load in loads]
    answers = []
    for kind in kinds:
        most = _affordable(kind, max_gpus, usd_per_hour)

        def tried(gpus: int, load: float = 1.0, calls: Traffic = traffic, kind: Kind = kind) -> Probe:
            made = probe(world, calls, kind, gpus, load, seed)
            progress(made)
            return made

        probes = _search(tried, most, max_violation_ratio)
        keeping = [each for each in probes if each.violation_ratio <= max_violation_ratio]
        enough = min(keeping, key=lambda each: each.gpus) if keeping else None
        size = enough.gpus if enough else most
        more = [tried(size, load, calls) for load, calls in heavier] if size else []
        answers.append(Answer(kind, enough, more, sorted(probes, key=lambda each: each.gpus)))
    return answers


def probe(world: World, traffic: Traffic, kind: Kind, gpus: int, load: float = 1.0, seed: int = 0) -> Probe:
    result = simulate(on(world, kind, gpus), traffic.calls, traffic.duration_s, seed)
    return Probe(
        kind,
        load,
        gpus,
        result.quantile_ms(0.5),
        result.quantile_ms(0.99),
        result.violation_ratio,
        result.total_gpu_s / 3600,
        result.duration_s,
    )


def on(world: World, kind: Kind, gpus: int) -> World:
    """The world with so many GPUs of a kind. Cold starts take as long as before: they read weights."""
    models = {name: _model_on(model, kind, gpus) for name, model in world.models.items()}
    return world.model_copy(update={"gpus": gpus, "models": models})


def _model_on(model: SimulatedModel, kind: Kind, gpus: int) -> SimulatedModel:
    if not model.num_gpus:
        return model
    times = ("step_ms", "step_ms_per_megapixel", "overhead_ms")
    update: dict[str, object] = {name: getattr(model, name) / kind.speed for name in times}
    most = max(1, int(gpus / model.num_gpus + 1e-9))
    least = min(model.autoscaling.min_replicas, most)
    update["autoscaling"] = model.autoscaling.model_copy(
        update={"min_replicas": least, "max_replicas": most, "initial_replicas": None}
    )
    return model.model_copy(update=update)


def repeated(traffic: Traffic, load: float, seed: int = 0) -> Traffic:
    """`load` times as many calls: each comes that often, on average where that is no whole number, within
    half a minute of the first. Keeps the shape of the day and how alike neighbouring calls are."""
    rng = random.Random(seed)
    times: list[tuple[float, Call]] = []
    for call in traffic.calls:
        copies = int(load) + (rng.random() < load - int(load))
        for copy in range(copies):
            shift_s = rng.uniform(-SPREAD_S, SPREAD_S) if copy else 0.0
            times.append((min(max(call.at_s + shift_s, 0.0), traffic.duration_s), call))
    times.sort(key=lambda each: each[0])
    calls = [Call(index, at_s, call.shot, call.turn) for index, (at_s, call) in enumerate(times)]
    return Traffic(calls, traffic.duration_s)


def _affordable(kind: Kind, max_gpus: int, usd_per_hour: float | None) -> int:
    if usd_per_hour is None or not kind.usd_per_gpu_hour:
        return max_gpus
    return min(max_gpus, int(usd_per_hour / kind.usd_per_gpu_hour + 1e-9))


def _search(tried: Callable[[int], Probe], most: int, max_violation_ratio: float) -> list[Probe]:
    probes: dict[int, Probe] = {}

    def keeps(gpus: int) -> bool:
        if gpus not in probes:
            probes[gpus] = tried(gpus)
        return probes[gpus].violation_ratio <= max_violation_ratio

    if most < 1:
        return []
    low, high = 0, 1
    while not keeps(high):
        if high == most:
            return list(probes.values())
        low, high = high, min(2 * high, most)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if keeps(middle) else (middle, high)
    return list(probes.values())

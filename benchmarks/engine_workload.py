"""Arrivals and statistics that the engine's benchmarks share."""

import random
from collections.abc import Sequence

from deployments.engine.simulation import Arrival
from deployments.engine.work import Shape

SHORT_STEPS, LONG_STEPS, LONG_SHARE = 4, 30, 0.1


def poisson(rate_per_s: float, count: int, seed: int) -> list[float]:
    """Instants in seconds."""
    chance, now_s, instants = random.Random(seed), 0.0, []
    for _ in range(count):
        now_s += chance.expovariate(rate_per_s)
        instants.append(now_s)
    return instants


def quantile(values: Sequence[float], q: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))]


def short_and_long(count: int, seed: int) -> list[int]:
    """Steps of each request: mostly short ones, some long."""
    chance = random.Random(seed)
    return [LONG_STEPS if chance.random() < LONG_SHARE else SHORT_STEPS for _ in range(count)]


def with_budgets(
    rate_per_s: float, count: int, seed: int, alone_s: dict[int, float], generosity: tuple[float, float]
) -> list[Arrival]:
    """Short and long requests, each due after its time alone times something between the two factors."""
    chance = random.Random(seed + 1)
    return [
        Arrival(at_s, Shape(512, 512), steps, alone_s[steps] * chance.uniform(*generosity))
        for at_s, steps in zip(poisson(rate_per_s, count, seed), short_and_long(count, seed), strict=True)
    ]

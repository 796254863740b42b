"""Packing against an exact solver, and what must hold for any packing."""

import random
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import Bounds, LinearConstraint, milp

from loadtests.capacity.options import GpuType, Option
from loadtests.capacity.packing import FULL, cheapest, lower_bound, pack

Options = Mapping[str, Sequence[Option]]


def option(gpu: str, replicas: int, percent: int) -> Option:
    return Option(gpu, replicas, percent, batch=1, latency_s=1.0, gpu_s_per_image=1.0)


def instance(seed: int) -> tuple[Options, list[GpuType]]:
    """Two to five models with up to four options each, on one to three types of GPU."""
    draw = random.Random(seed)
    names = ["l4", "a100", "h100"][: draw.randint(1, 3)]
    gpus = [GpuType(name, 1, round(draw.uniform(0.5, 6.0), 2)) for name in names]
    options = {
        f"model{index}": [
            option(
                draw.choice(names),
                draw.randint(1, 3),
                draw.choice([draw.randint(5, 60), draw.randint(5, 100)]),
            )
            for _ in range(draw.randint(1, 4))
        ]
        for index in range(draw.randint(2, 5))
    }
    return options, gpus


def optimum(options: Options, gpus: Sequence[GpuType]) -> float:
    """By mixed integer programming (HiGHS): pick an option per model, open GPUs, put replicas into them."""
    most = {
        gpu.name: sum(
            max((o.replicas for o in each if o.gpu == gpu.name), default=0) for each in options.values()
        )
        for gpu in gpus
    }
    opened = [(gpu, number) for gpu in gpus for number in range(most[gpu.name])]
    picks = [(name, o) for name, each in options.items() for o in each]
    puts = [
        (p, d) for p, (_, o) in enumerate(picks) for d, (gpu, _) in enumerate(opened) if gpu.name == o.gpu
    ]
    cost = [gpu.usd_per_hour for gpu, _ in opened] + [0.0] * (len(picks) + len(puts))
    first_pick, first_put = len(opened), len(opened) + len(picks)
    rows, low, high = [], [], []

    def row(entries: Mapping[int, float], at_least: float, at_most: float) -> None:
        line = np.zeros(len(cost))
        for column, value in entries.items():
            line[column] = value
        rows.append(line)
        low.append(at_least)
        high.append(at_most)

    for name in options:
        row({first_pick + p: 1 for p, (of, _) in enumerate(picks) if of == name}, 1, 1)
    for p, (_, o) in enumerate(picks):
        mine = {first_put + i: 1.0 for i, (of, _) in enumerate(puts) if of == p}
        row({**mine, first_pick + p: -o.replicas}, 0, 0)
    for d in range(len(opened)):
        inside = {first_put + i: float(picks[p][1].percent) for i, (p, of) in enumerate(puts) if of == d}
        row({**inside, d: -FULL}, -np.inf, 0)
    upper = [1.0] * first_put + [float(picks[p][1].replicas) for p, _ in puts]
    solved = milp(
        cost,
        constraints=LinearConstraint(np.array(rows), low, high),
        integrality=np.ones(len(cost)),
        bounds=Bounds(0, upper),
        options={"time_limit": 20},
    )
    assert solved.status == 0, solved.message
    return float(solved.fun)


@pytest.mark.slow
@pytest.mark.parametrize("block", range(4))
def test_within_five_percent_of_the_optimum(block: int) -> None:
    for seed in range(block * 50, block * 50 + 50):
        options, gpus = instance(seed)
        packing = cheapest(options, gpus)
        assert packing is not None
        best = optimum(options, gpus)
        assert packing.usd_per_hour <= best * 1.05 + 1e-6, seed
        assert packing.bound_usd_per_hour <= best + 1e-6, seed
        assert packing.usd_per_hour >= best - 1e-6, f"{seed}: cheaper than possible"


@settings(deadline=None)
@given(st.lists(st.integers(1, FULL), max_size=40))
def test_nothing_is_lost_and_nothing_overflows(sizes: list[int]) -> None:
    ordered = tuple(sorted(sizes, reverse=True))
    bins, _ = pack(ordered)
    assert sorted((size for each in bins for size in each), reverse=True) == list(ordered)
    assert all(sum(each) <= FULL for each in bins)
    assert len(bins) >= lower_bound(ordered)


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 12))
def test_devices_hold_the_chosen_replicas(seed: int, available: int) -> None:
    options, gpus = instance(seed)
    limited = [GpuType(gpu.name, 1, gpu.usd_per_hour, available) for gpu in gpus]
    packing = cheapest(options, limited)
    if packing is None:
        unlimited = cheapest(options, gpus)
        assert unlimited is not None
        assert any(len(devices) > available for devices in unlimited.devices.values())
        return
    usd = 0.0
    for gpu in limited:
        devices = packing.devices.get(gpu.name, ())
        usd += gpu.usd_per_hour * len(devices)
        assert len(devices) <= available
        assert all(sum(packing.chosen[name].percent for name in each) <= FULL for each in devices)
    held = [name for devices in packing.devices.values() for each in devices for name in each]
    assert {name: held.count(name) for name in options} == {
        name: each.replicas for name, each in packing.chosen.items()
    }
    assert usd == pytest.approx(packing.usd_per_hour)
    assert packing.bound_usd_per_hour <= packing.usd_per_hour + 1e-9


def test_a_search_that_is_cut_short_says_how_far_off_it_may_be() -> None:
    draw = random.Random(1)
    options = {
        f"model{index}": [option(gpu, draw.randint(1, 6), draw.randint(7, 70)) for gpu in ("l4", "a100")]
        for index in range(30)
    }
    gpus = [GpuType("l4", 1, 0.8), GpuType("a100", 1, 2.5)]
    packing = cheapest(options, gpus, effort=200)
    assert packing is not None
    assert 0.8 * packing.usd_per_hour < packing.bound_usd_per_hour < packing.usd_per_hour


def test_first_fit_is_improved_upon() -> None:
    """First fit decreasing opens three GPUs here; two suffice."""
    sizes = (45, 35, 35, 30, 30, 25)
    bins, proven = pack(sizes)
    assert (len(bins), proven) == (2, True)


def test_models_together_where_that_is_cheaper_than_each_at_its_best() -> None:
    """Each alone would take the small GPU; together they fit on one large one."""
    options = {name: [option("small", 1, 60), option("large", 1, 30)] for name in ("a", "b", "c")}
    packing = cheapest(options, [GpuType("small", 1, 1.0), GpuType("large", 1, 2.5)])
    assert packing is not None
    assert packing.devices == {"large": [["c", "b", "a"]]}

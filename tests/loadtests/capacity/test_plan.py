import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtests.capacity.options import GIB, GpuType, ModelNeed, Rules
from loadtests.capacity.plan import make_plan
from loadtests.capacity.times import ImageTimes

A100 = GpuType("a100", 80 * GIB, 2.5)
L4 = GpuType("l4", 24 * GIB, 0.8)


def need(name: str, memory_gib: float, images_per_s: float, **seconds: float) -> ModelNeed:
    times = {gpu: ImageTimes(0.0, each_s) for gpu, each_s in seconds.items()}
    return ModelNeed(name, int(memory_gib * GIB), images_per_s, times, max_latency_s=60.0)


def test_small_models_share_a_gpu() -> None:
    plan = make_plan(
        [need("a", 20, 0.1, a100=1.0), need("b", 20, 0.1, a100=1.0), need("c", 20, 0.1, a100=1.0)],
        [A100],
        Rules(),
    )
    assert [list(device.models) for device in plan.devices] == [["a", "b", "c"]]
    assert plan.usd_per_hour == 2.5
    assert plan.usd_per_1000_images == pytest.approx(2.5 / (3600 * 0.3) * 1000)
    assert plan.saving_bound_ratio == 0


def test_each_model_goes_where_it_is_cheap() -> None:
    plan = make_plan(
        [need("large", 40, 0.5, a100=1.0), need("small", 8, 0.1, a100=0.5, l4=1.5)], [A100, L4], Rules()
    )
    gpus = {each.name: each.option.gpu for each in plan.placements}
    assert gpus["large"] == "a100"
    assert plan.usd_per_hour <= 3.3


def test_what_fits_nowhere_is_left_out_with_a_reason_for_each_gpu() -> None:
    plan = make_plan(
        [need("vast", 100, 0.1, a100=1.0, l4=1.0), need("a", 8, 0.1, l4=1.0)], [A100, L4], Rules()
    )
    assert [each.name for each in plan.placements] == ["a"]
    (left_out,) = plan.left_out
    assert left_out.name == "vast"
    assert left_out.reasons == ["needs 100.5 GiB, a100 has 80.0 GiB", "needs 100.5 GiB, l4 has 24.0 GiB"]


def test_where_gpus_do_not_suffice_the_last_models_are_left_out_first() -> None:
    one = GpuType("a100", 80 * GIB, 2.5, available=1)
    needs = [
        need("first", 50, 0.1, a100=1.0),
        need("second", 50, 0.1, a100=1.0),
        need("third", 20, 0.1, a100=1.0),
    ]
    plan = make_plan(needs, [one], Rules())
    assert [each.name for each in plan.placements] == ["first", "third"]
    (left_out,) = plan.left_out
    assert left_out.name == "second"
    assert "available are 1 a100" in left_out.reasons[0]


def test_headroom_is_what_the_load_may_grow_by() -> None:
    needs = [need("a", 75, 0.35, a100=1.0)]
    (placement,) = make_plan(needs, [A100], Rules()).placements
    grown = need("a", 75, 0.35 * (1 + placement.headroom_ratio), a100=1.0)
    (full,) = make_plan([grown], [A100], Rules(utilisation_ratio=1.0)).placements
    assert full.option.replicas == placement.option.replicas
    assert abs(full.headroom_ratio) < 0.02


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000))
def test_no_gpu_is_ever_over_its_memory(seed: int) -> None:
    draw = random.Random(seed)
    needs = [
        need(
            f"m{index}",
            draw.uniform(0.5, 90),
            draw.uniform(0.01, 5),
            a100=draw.uniform(0.05, 5),
            l4=draw.uniform(0.1, 20),
        )
        for index in range(draw.randint(1, 6))
    ]
    gpus = [GpuType("a100", 80 * GIB, 2.5, draw.choice([None, 2])), GpuType("l4", 24 * GIB, 0.8)]
    plan = make_plan(needs, gpus, Rules())
    sizes = {gpu.name: gpu.memory_bytes for gpu in gpus}
    for device in plan.devices:
        assert device.memory_bytes <= sizes[device.gpu]
        assert device.percent <= 100
    names = {each.name for each in plan.placements} | {each.name for each in plan.left_out}
    assert names == {each.name for each in needs}
    assert plan.gpus().get("a100", 0) <= 2 or gpus[0].available is None

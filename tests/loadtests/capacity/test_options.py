import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.capacity.options import (
    GIB,
    GpuType,
    ModelNeed,
    Option,
    Rules,
    Unsuited,
    busy_ratio,
    options,
    slowdown,
)
from loadtests.capacity.times import ImageTimes

A100 = GpuType("a100", 80 * GIB, 2.5)
RULES = Rules()


def need(**changes: object) -> ModelNeed:
    fields = {
        "name": "poster",
        "memory_bytes": 10 * GIB,
        "images_per_s": 0.2,
        "times": {"a100": ImageTimes(0.5, 0.5, max_batch=8)},
        "max_latency_s": 10.0,
    }
    return ModelNeed(**{**fields, **changes})  # type: ignore[arg-type]


def found(of: ModelNeed, gpu: GpuType = A100, rules: Rules = RULES) -> list[Option]:
    result = options(of, gpu, rules)
    assert not isinstance(result, Unsuited), result
    return list(result)


def reason(of: ModelNeed, gpu: GpuType = A100) -> str:
    result = options(of, gpu, RULES)
    assert isinstance(result, Unsuited)
    return result.reason


def test_memory_decides_where_there_is_little_to_compute() -> None:
    """10.5 GiB of 80 with the process's own: 14 percent, however small the load."""
    best = found(need(images_per_s=0.001))[0]
    assert (best.replicas, best.percent) == (1, 14)


def test_compute_decides_where_there_is_little_memory() -> None:
    best = found(need(memory_bytes=0, images_per_s=1.0, max_latency_s=math.inf))[0]
    assert best.batch == 8
    work_s = 1.0 * best.gpu_s_per_image * (1 + RULES.interference_ratio)
    assert best.replicas * best.percent / 100 == pytest.approx(work_s / RULES.utilisation_ratio, abs=0.02)


def test_a_tight_budget_makes_batches_small_and_neighbours_few() -> None:
    loose, tight = found(need(max_latency_s=10.0)), found(need(max_latency_s=2.0))
    assert tight[0].batch < loose[0].batch
    assert min(each.percent for each in tight) > min(each.percent for each in loose)
    assert all(each.latency_s <= 2.0 for each in tight)


def test_at_the_edge_of_its_budget_a_model_gets_a_gpu_alone() -> None:
    assert [each.percent for each in found(need(max_latency_s=1.0))] == [100]


def test_what_does_not_fit_says_why() -> None:
    assert reason(need(memory_bytes=90 * GIB)) == "needs 90.5 GiB, a100 has 80.0 GiB"
    assert "takes 1.00 s alone on a100, its budget is 0.50 s" in reason(need(max_latency_s=0.5))
    assert reason(need(times={})) == "no times are given for a100"


def test_alone_nothing_is_slower() -> None:
    assert slowdown(100, RULES) == 1
    assert slowdown(99, RULES) > 1 + RULES.interference_ratio
    assert slowdown(10, RULES) > slowdown(50, RULES)


@given(
    memory_gib=st.floats(0, 79),
    images_per_s=st.floats(0.001, 50),
    fixed_s=st.floats(0, 2),
    each_s=st.floats(0.01, 2),
    max_batch=st.integers(1, 32),
    max_latency_s=st.floats(0.1, 60),
    min_replicas=st.integers(1, 4),
    interference=st.floats(0, 1),
)
def test_every_option_keeps_memory_budget_and_load(
    memory_gib: float,
    images_per_s: float,
    fixed_s: float,
    each_s: float,
    max_batch: int,
    max_latency_s: float,
    min_replicas: int,
    interference: float,
) -> None:
    rules = Rules(interference_ratio=interference)
    of = need(
        memory_bytes=int(memory_gib * GIB),
        images_per_s=images_per_s,
        times={"a100": ImageTimes(fixed_s, each_s, max_batch=max_batch)},
        max_latency_s=max_latency_s,
        min_replicas=min_replicas,
    )
    result = options(of, A100, rules)
    if isinstance(result, Unsuited):
        assert fixed_s + each_s > max_latency_s
        return
    for each in result:
        assert each.percent * A100.memory_bytes >= 100 * (of.memory_bytes + rules.context_bytes)
        assert each.latency_s <= max_latency_s * (1 + 1e-6)
        assert busy_ratio(each, images_per_s, rules) <= rules.utilisation_ratio + 1e-6
        assert each.replicas >= min_replicas
        assert 1 <= each.batch <= max_batch

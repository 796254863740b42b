"""Short requests beside long ones: the step engine against a pipeline behind Ray Serve's batching.

Nine in ten requests take 4 steps, one takes 30, of the model that comes with the project, at its own size.
Baseline: the same diffusers pipeline behind
`@ray_serve.batch`, each batch grouped by equal numbers of steps and run group after group. What it can do
with arrivals depends on how long it waits for a batch to fill (benchmarks/serve_batching.py), so that is
worked out from measured times of its groups, for several waits. The highest of these is its capacity, and
at 70% of it the wait with the lowest p99 of short requests is taken: no setting of it does better.

Both get the same requests at the same instants at that load, and before it all at the same time, three times
by turns: the median is their throughput at saturation. A baseline that falls behind all the same was not at
70% (the machine did something else meanwhile), and the run says that it does not count.
Runs Serve's own batching code without a cluster. Times are of a wall clock: ratios of one run count.

    python -m benchmarks.engine_short_long
"""

import asyncio
import math
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import ray.serve.context
import torch
from diffusers import DiffusionPipeline
from ray import serve as ray_serve

from benchmarks.engine_workload import LONG_STEPS, SHORT_STEPS, poisson, quantile, short_and_long
from benchmarks.serve_batching import GroupTime, capacity_per_s, p99_s
from deployments.diffusion.model import DiffusionModel
from deployments.diffusion.spec import DiffusionSpec
from deployments.types import Pixels, RenderRequest

WEIGHTS = Path(__file__).parents[1] / "models" / "default"
SIZE, GUIDANCE, MAX_BATCH = 64, 4.0, 8
SATURATING, PASSES, MEASURED, WARM_UP = 120, 3, 1_000, 16
LOAD = 0.7
KINDS, GROUP_REPEATS = (SHORT_STEPS, LONG_STEPS), 3
SERVES_DEFAULT_WAIT_S = 0.01
WAITS = (0.0, 0.125, 0.25, 0.5, 1.0, 2.0, 4.0)
"""For a batch to fill, in times that it takes to serve a full one."""
BARS = {
    "p99 of short, baseline/engine": 5.0,
    "throughput, engine/baseline": 1.0,
    "p50 of long, engine/baseline": 1.3,
}

Render = Callable[[int, int], Awaitable[Pixels]]
"""Steps and seed to pixels."""


@dataclass(frozen=True, slots=True)
class Timing:
    steps: int
    latency_s: float


@dataclass(frozen=True, slots=True)
class Tuned:
    """How the baseline is set. `capacity_per_s` is the most that any wait can serve of these arrivals."""

    wait_s: float
    capacity_per_s: float
    default_capacity_per_s: float


class BatchedPipeline:
    """What one writes today: a batch queue in front of a pipeline call."""

    def __init__(self) -> None:
        self._pipeline = DiffusionPipeline.from_pretrained(str(WEIGHTS), local_files_only=True)
        self._pipeline.set_progress_bar_config(disable=True)
        self._thread = ThreadPoolExecutor(1)

    def wait_for_batches(self, wait_s: float) -> None:
        self.render.set_batch_wait_timeout_s(wait_s)  # type: ignore[attr-defined]

    def group_s(self) -> GroupTime:
        """Measured: the median time of a pipeline call, by steps and number of requests."""
        sizes = range(1, MAX_BATCH + 1)
        measured = {(steps, size): self._median_s(steps, size) for steps in KINDS for size in sizes}
        return lambda steps, size: measured[steps, size]

    def _median_s(self, steps: int, size: int) -> float:
        seconds = []
        for _ in range(GROUP_REPEATS):
            started_s = time.perf_counter()
            self._run([(steps, seed) for seed in range(size)])
            seconds.append(time.perf_counter() - started_s)
        return statistics.median(seconds)

    @ray_serve.batch(max_batch_size=MAX_BATCH, batch_wait_timeout_s=SERVES_DEFAULT_WAIT_S)
    async def render(self, asks: list[tuple[int, int]]) -> list[Pixels]:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._run, asks)

    def _run(self, asks: list[tuple[int, int]]) -> list[Pixels]:
        made: dict[int, Pixels] = {}
        for steps in sorted({steps for steps, _ in asks}):
            members = [index for index, ask in enumerate(asks) if ask[0] == steps]
            images = self._pipeline(
                [_prompt(asks[index][1]) for index in members],
                width=SIZE,
                height=SIZE,
                num_inference_steps=steps,
                guidance_scale=GUIDANCE,
                generator=[torch.Generator("cpu").manual_seed(asks[index][1]) for index in members],
            ).images
            made |= {index: np.asarray(image) for index, image in zip(members, images, strict=True)}
        return [made[index] for index in range(len(asks))]


def _prompt(seed: int) -> str:
    return f"a red apple on blue, number {seed}"


async def saturate(render: Render) -> float:
    """Images a second when all requests are there at once."""
    steps = short_and_long(SATURATING, seed=1)
    started_s = time.perf_counter()
    await asyncio.gather(*(render(count, seed) for seed, count in enumerate(steps)))
    return SATURATING / (time.perf_counter() - started_s)


async def serve_open_loop(render: Render, instants_s: Sequence[float], steps: Sequence[int]) -> list[Timing]:
    """Requests come when they come, whatever has become of earlier ones; latency counts from then."""
    started_s = time.perf_counter()

    async def one(at_s: float, count: int, seed: int) -> Timing:
        await asyncio.sleep(started_s + at_s - time.perf_counter())
        await render(count, seed)
        return Timing(count, time.perf_counter() - started_s - at_s)

    return await asyncio.gather(
        *(one(at_s, count, seed) for seed, (at_s, count) in enumerate(zip(instants_s, steps, strict=True)))
    )


def tune(group_s: GroupTime) -> Tuned:
    """The wait with the lowest p99 of short requests, at LOAD of the capacity of the best wait."""
    full_s = MAX_BATCH / capacity_per_s(math.inf, MAX_BATCH, group_s)
    waits_s = (SERVES_DEFAULT_WAIT_S, *(full_s * times for times in WAITS))
    capacities = {wait_s: capacity_per_s(wait_s, MAX_BATCH, group_s) for wait_s in waits_s}
    capacity = max(capacities.values())

    def p99_of_short_s(wait_s: float) -> float:
        return p99_s(LOAD * capacity, wait_s, MAX_BATCH, group_s, SHORT_STEPS)

    return Tuned(min(waits_s, key=p99_of_short_s), capacity, capacities[SERVES_DEFAULT_WAIT_S])


async def measure() -> tuple[Tuned, dict[str, dict[str, Any]]]:
    baseline = BatchedPipeline()
    model = DiffusionModel(
        "bench",
        DiffusionSpec(
            kind="diffusion",
            weights=str(WEIGHTS),
            default_width=SIZE,
            default_height=SIZE,
            default_guidance_scale=GUIDANCE,
            max_batch=MAX_BATCH,
        ),
    )
    await model.load()

    async def by_step(steps: int, seed: int) -> Pixels:
        ask = RenderRequest(f"{seed}", _prompt(seed), SIZE, SIZE, seed, steps=steps)
        result = await model.render(ask)
        assert isinstance(result.image, np.ndarray)
        return result.image

    async def by_batch(steps: int, seed: int) -> Pixels:
        return await baseline.render((steps, seed))  # type: ignore[no-any-return, call-arg, arg-type]

    ways: dict[str, Render] = {"@ray_serve.batch": by_batch, "step engine": by_step}
    for render in ways.values():
        await asyncio.gather(*(render(SHORT_STEPS, seed) for seed in range(WARM_UP)))
    # By turns, so that what else the machine does meets both.
    passes = [{name: await saturate(render) for name, render in ways.items()} for _ in range(PASSES)]
    per_s = {name: statistics.median(one[name] for one in passes) for name in ways}
    tuned = tune(await asyncio.to_thread(baseline.group_s))
    baseline.wait_for_batches(tuned.wait_s)
    instants_s = poisson(LOAD * tuned.capacity_per_s, MEASURED, seed=2)
    steps = short_and_long(MEASURED, seed=3)
    timings = {name: await serve_open_loop(render, instants_s, steps) for name, render in ways.items()}
    await model.close()
    return tuned, {name: {"per_s": per_s[name], "timings": timings[name]} for name in ways}


def fell_behind(timings: Sequence[Timing]) -> bool:
    """Whether requests of the last third waited much longer than those of the first: the queue grew."""
    third = len(timings) // 3
    first, last = (
        statistics.median(timing.latency_s for timing in part) for part in (timings[:third], timings[-third:])
    )
    return last > 3 * first


def latencies(timings: Sequence[Timing], steps: int) -> list[float]:
    return [timing.latency_s for timing in timings if timing.steps == steps]


def main() -> None:
    torch.set_num_threads(1)
    # Serve's batching asks its replica how many requests may be open; there is no replica here.
    ray.serve.context._INTERNAL_REPLICA_CONTEXT = SimpleNamespace(
        app_name="bench",
        deployment="pipeline",
        replica_tag="0",
        replica_id=SimpleNamespace(unique_id="0"),
        _deployment_config=SimpleNamespace(max_ongoing_requests=SATURATING),
    )
    tuned, results = asyncio.run(measure())
    rate_per_s = LOAD * tuned.capacity_per_s
    saturated_per_s = results["@ray_serve.batch"]["per_s"]
    print(
        f"the baseline can serve {tuned.capacity_per_s:.1f} of these arrivals a second "
        f"({tuned.default_capacity_per_s:.1f} if it waits {SERVES_DEFAULT_WAIT_S * 1000:.0f} ms for a batch "
        f"to fill, Serve's default; {saturated_per_s:.1f} if all are there at once)"
    )
    print(
        f"milliseconds, {MEASURED} requests at {rate_per_s:.1f} a second: {LOAD:.0%} of the first, "
        f"{rate_per_s / tuned.default_capacity_per_s:.0%} of the second, "
        f"{rate_per_s / saturated_per_s:.0%} of the third; the baseline waits {tuned.wait_s * 1000:.0f} ms"
    )
    print(f"{'':18} {'images/s':>8} {'short p50':>10} {'short p99':>10} {'long p50':>10} {'long p99':>10}")
    cells: dict[str, tuple[float, ...]] = {}
    for name, result in results.items():
        short, long = (latencies(result["timings"], steps) for steps in (SHORT_STEPS, LONG_STEPS))
        cells[name] = (result["per_s"], *(quantile(part, q) for part in (short, long) for q in (0.5, 0.99)))
        print(
            f"{name:18} {cells[name][0]:8.1f}"
            + "".join(f" {value * 1000:10.0f}" for value in cells[name][1:])
        )
    if fell_behind(results["@ray_serve.batch"]["timings"]):
        print("the baseline fell behind: it was loaded over its capacity, so this run does not count")
    old, new = cells.values()
    ratios = (old[2] / new[2], new[0] / old[0], new[3] / old[3])
    for (name, bar), ratio in zip(BARS.items(), ratios, strict=True):
        print(f"{name}: {ratio:.2f} (wanted {'at most' if 'long' in name else 'at least'} {bar})")


if __name__ == "__main__":
    main()

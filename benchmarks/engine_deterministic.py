"""What it costs that pixels do not depend on load: 1,000 requests, 20 seeds, joining and leaving at random.

Each seed has its own prompt and number of steps. Clients come and go at random, so batches change all the
time; once plainly, once with `deterministic`, which pads every batch to one width. Counted are distinct
images and the CPU time spent in the denoiser (the GPU's time, on a GPU).

    python -m benchmarks.engine_deterministic
"""

import asyncio
import random
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from deployments.diffusion.model import DiffusionModel
from deployments.diffusion.spec import DiffusionSpec
from deployments.diffusion.tiny import build_tiny
from deployments.types import RenderRequest

SIZE, MAX_BATCH = 64, 8
REQUESTS, SEEDS, CLIENTS = 1_000, 20, 16
TIME_BAR = 1.3


@dataclass(frozen=True, slots=True)
class Run:
    images: int
    denoiser_s: float
    rows_asked: int
    rows_computed: int


def request(seed: int, deterministic: bool) -> RenderRequest:
    steps = 2 + seed % 6
    return RenderRequest(
        f"{seed}", f"a red fox number {seed}", SIZE, SIZE, seed, steps, deterministic=deterministic
    )


async def run(folder: Path, deterministic: bool) -> Run:
    spec = DiffusionSpec(
        kind="diffusion",
        weights=str(folder),
        default_width=SIZE,
        default_height=SIZE,
        max_batch=MAX_BATCH,
        steady_width=MAX_BATCH,
    )
    model = DiffusionModel("bench", spec)
    await model.load()
    module: Any = model._loaded.pipelines.base.unet
    forward, spent_s, rows = module.forward, [0.0], [0]

    def timed(sample: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        started_s = time.thread_time()
        output = forward(sample, *args, **kwargs)
        spent_s[0] += time.thread_time() - started_s
        rows[0] += sample.shape[0] // 2
        return output

    module.forward = timed
    hashes: set[str | None] = set()
    chance = random.Random(4)
    asked = [chance.randrange(SEEDS) for _ in range(REQUESTS)]
    waiting = iter(asked)

    async def client() -> None:
        for seed in waiting:
            await asyncio.sleep(chance.uniform(0, 0.02))
            hashes.add((await model.render(request(seed, deterministic))).receipt.pixels_sha256)

    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    await model.close()
    return Run(len(hashes), spent_s[0], sum(2 + seed % 6 for seed in asked), rows[0])


def main() -> None:
    torch.set_num_threads(1)
    with TemporaryDirectory() as temporary:
        folder = build_tiny("sd", temporary)
        runs = {
            "plain": asyncio.run(run(folder, deterministic=False)),
            "deterministic": asyncio.run(run(folder, deterministic=True)),
        }
    print(f"{REQUESTS} requests of {SEEDS} seeds, batches of up to {MAX_BATCH}")
    print(f"{'':14} {'distinct images':>15} {'denoiser s':>11} {'rows computed / asked':>22}")
    for name, one in runs.items():
        print(f"{name:14} {one.images:15} {one.denoiser_s:11.2f} {one.rows_computed / one.rows_asked:22.2f}")
    ratio = runs["deterministic"].denoiser_s / runs["plain"].denoiser_s
    print(f"time ratio {ratio:.2f} (wanted at most {TIME_BAR}); images wanted {SEEDS}")


if __name__ == "__main__":
    main()

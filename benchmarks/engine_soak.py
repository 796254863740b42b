"""Memory of a replica over 5,000 requests of mixed sizes, steps, edits and cancellations.

python -m benchmarks.engine_soak
"""

import asyncio
import contextlib
import gc
import random
import resource
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from deployments.diffusion.model import DiffusionModel
from deployments.diffusion.spec import DiffusionSpec
from deployments.diffusion.tiny import build_tiny
from deployments.types import Encoding, RenderRequest

REQUESTS, WARM_UP, CLIENTS = 5_000, 1_000, 8
GROWTH_BAR = 0.02
PAGE_BYTES = resource.getpagesize()


def resident_bytes() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_BYTES


def request(index: int, chance: random.Random) -> RenderRequest:
    size = chance.choice((64, 96))
    edits = chance.random() < 0.2
    return RenderRequest(
        f"{index}",
        f"thing number {index}",
        size,
        size,
        index,
        steps=chance.randint(2, 4),
        image=np.full((size, size, 3), index % 256, np.uint8) if edits else None,
        deterministic=chance.random() < 0.2,
        encoding=Encoding(),
    )


async def soak(folder: Path) -> list[tuple[int, int]]:
    """Requests done and bytes resident, every thousand."""
    spec = DiffusionSpec(kind="diffusion", weights=str(folder), default_width=64, default_height=64)
    model = DiffusionModel("soak", spec)
    await model.load()
    chance = random.Random(0)
    waiting = iter(range(REQUESTS))
    seen: list[tuple[int, int]] = []

    async def client() -> None:
        for index in waiting:
            rendering = asyncio.create_task(model.render(request(index, chance)))
            if chance.random() < 0.1:
                await asyncio.sleep(chance.uniform(0, 0.05))
                rendering.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await rendering
            if (index + 1) % WARM_UP == 0:
                seen.append((index + 1, resident_bytes()))

    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    await model.close()
    return seen


def main() -> None:
    torch.set_num_threads(1)
    with TemporaryDirectory() as temporary:
        seen = asyncio.run(soak(build_tiny("sd", temporary)))
    for done, resident in seen:
        print(f"{done:6} requests {resident / 1e6:8.1f} MB")
    growth = seen[-1][1] / seen[0][1] - 1
    print(f"growth after the first {WARM_UP}: {growth:+.2%} (wanted under {GROWTH_BAR:.0%})")


if __name__ == "__main__":
    main()

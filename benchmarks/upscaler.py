"""Memory and speed of enlarging with the shipped weights: `python -m benchmarks.upscaler`.

Each row of the first table is a process of its own. Its peak is the most resident memory it had while it
rendered, above what it had just before (model loaded, inputs there); results are dropped as they come. Bars:
at most 1.2 times the budget. The second table has the time of a megapixel of output beside Lanczos.
"""

import asyncio
import ctypes
import gc
import multiprocessing
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from rich.table import Table

from benchmarks import tables
from deployments.tiles.model import encoder_pixel_bytes
from deployments.tiles.work import TileWork
from deployments.types import Encoding, Pixels, RenderRequest
from deployments.upscaler.backends import load_backend
from deployments.upscaler.model import UpscalerModel
from deployments.upscaler.spec import UpscalerSpec

WEIGHTS = str(Path(__file__).parents[1] / "models" / "upscale_2x")
MIB = 1 << 20
BAR_RATIO = 1.2


@dataclass(frozen=True, slots=True)
class MemoryCase:
    """`at_once` requests of `side` x `side` pixels, each encoded as PNG, in a budget for `room` of them."""

    title: str
    side: int
    factor: Literal[2, 4]
    at_once: int
    room: int


CASES = (
    MemoryCase("1024 to 4096", 1024, 4, 1, 1),
    MemoryCase("32 of 160 to 320, room for 2", 160, 2, 32, 2),
)


def main() -> bool:
    """False when a bar is missed."""
    within = show_memory()
    show_speed()
    return within


def show_memory() -> bool:
    table = Table("memory", "budget MiB", "peak MiB", "ratio", "done", "seconds")
    within = True
    for case in CASES:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            budget_bytes, peak_bytes, done, took_s = pool.apply(measured, (case,))
        ratio = peak_bytes / budget_bytes
        within &= ratio <= BAR_RATIO and done == case.at_once
        sizes = [f"{size / MIB:.0f}" for size in (budget_bytes, peak_bytes)]
        table.add_row(case.title, *sizes, f"{ratio:.2f}", f"{done}/{case.at_once}", f"{took_s:.1f}")
    tables.show(table)
    return within


def show_speed() -> None:
    table = Table("256 to 512 px", "ms a megapixel", "ratio")
    lanczos_ms = milliseconds_per_megapixel(UpscalerSpec(kind="upscaler"))
    swin_ms = milliseconds_per_megapixel(UpscalerSpec(kind="upscaler", weights=WEIGHTS))
    table.add_row("Lanczos in the same tiles", f"{lanczos_ms:.0f}", "1")
    table.add_row("upscale_2x", f"{swin_ms:.0f}", f"{swin_ms / lanczos_ms:.0f}")
    tables.show(table)


def measured(case: MemoryCase) -> tuple[int, int, int, float]:
    """Budget, peak above the start, requests done, seconds."""
    spec = UpscalerSpec(kind="upscaler", weights=WEIGHTS, factor=case.factor, tile_memory_bytes=1 << 40)
    encoder = encoder_pixel_bytes(Encoding())
    work = TileWork(load_backend(spec), spec, case.factor, picture(case.side), encoder)
    spec = spec.model_copy(update={"tile_memory_bytes": max(work.reserved_bytes * case.room, MIB)})
    return asyncio.run(_render_all(case, spec))


async def _render_all(case: MemoryCase, spec: UpscalerSpec) -> tuple[int, int, int, float]:
    model = UpscalerModel("bench", spec)
    await model.load()
    image = picture(case.side)

    async def one(number: int) -> int:
        result = await model.render(RenderRequest(str(number), "", 0, 0, 0, image=image, encoding=Encoding()))
        return int(result.receipt.width == case.side * case.factor)

    before = _start_of_peak()
    started = time.perf_counter()
    done = sum(await asyncio.gather(*map(one, range(case.at_once))))
    took_s = time.perf_counter() - started
    return spec.tile_memory_bytes, _status_bytes("VmHWM") - before, done, took_s


def milliseconds_per_megapixel(spec: UpscalerSpec, repeats: int = 3) -> float:
    """Best of a few."""
    backend = load_backend(spec)
    works = [TileWork(backend, spec, 2, picture(256)) for _ in range(repeats)]
    return min(_seconds(work) * 1000 / work.megapixels for work in works)


def _seconds(work: TileWork) -> float:
    started = time.perf_counter()
    for _ in work.steps():
        pass
    return time.perf_counter() - started


def picture(side: int) -> Pixels:
    """Noise over a gradient: nothing that compresses well."""
    slope = np.linspace(0, 200, side, dtype=np.float32)[:, None, None]
    noise = np.random.default_rng(0).uniform(0, 55, (side, side, 3))
    return (slope + noise).astype(np.uint8)


def _start_of_peak() -> int:
    """Resident bytes now, with what can be given back given back; VmHWM counts from here."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    return _status_bytes("VmRSS")


def _status_bytes(field: str) -> int:
    found = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


if __name__ == "__main__":
    main()

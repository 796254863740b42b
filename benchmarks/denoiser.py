"""Speed of denoising 256 x 256 px on one thread with the shipped weights: `python -m benchmarks denoiser`.

Beside it OpenCV's non-local means, the classical filter for the task. Medians, through the tiles that serve
requests. Bar: 40 ms.
"""

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import cv2
import torch
from rich.table import Table

from benchmarks import tables
from benchmarks.upscaler import picture
from deployments.denoiser.backend import DenoiserBackend
from deployments.denoiser.spec import DenoiserSpec
from deployments.tiles.work import TileWork
from models.upscaler_training import evaluate

WEIGHTS: Final = Path(__file__).parents[1] / "models" / "denoise_ui"
SIDE: Final = 256
REPEATS: Final = 30
BAR_MS: Final = 40


def main() -> bool:
    """False when the bar is missed."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    baseline_ms, ours_ms = median_ms(non_local_means()), median_ms(denoise_ui())
    table = Table(f"{SIDE} x {SIDE} px, one thread", "median ms", "ratio")
    table.add_row("OpenCV's non-local means", f"{baseline_ms:.1f}", "1")
    table.add_row("denoise_ui", f"{ours_ms:.1f}", f"{ours_ms / baseline_ms:.2f}")
    tables.show(table)
    return ours_ms <= BAR_MS


def non_local_means() -> Callable[[], object]:
    worn = picture(SIDE)
    return lambda: evaluate.non_local_means(worn, strength=3)


def denoise_ui() -> Callable[[], object]:
    backend = DenoiserBackend(WEIGHTS)
    spec = DenoiserSpec(kind="denoiser", weights=str(WEIGHTS))
    worn = picture(SIDE)
    return lambda: evaluate.through(TileWork(backend, spec, 1, worn))


def median_ms(call: Callable[[], object]) -> float:
    """Of `REPEATS` calls, after three that warm up."""
    times_ms = []
    for _ in range(3 + REPEATS):
        started = time.perf_counter()
        call()
        times_ms.append((time.perf_counter() - started) * 1000)
    return statistics.median(times_ms[3:])


if __name__ == "__main__":
    main()

"""What a denoising step costs beside the denoiser: planning, books, futures, and diffusers' own loop.

Three measurements at a batch of 8, each as a share of a 10 ms denoiser call:

- engine: the step loop with a denoiser that only sleeps. Everything but the sleep is counted.
- diffusers, denoiser on a device: real pipelines with a real scheduler each, and a denoiser that returns
  at once while its result takes 10 ms on a device beside it, as a GPU does. What the pipelines do with
  the output overlaps with the device, so only what exceeds it is counted.
- diffusers, denoiser on this CPU: the same with nothing to hide behind. Guidance, scheduler and
  bookkeeping of 8 requests, for which diffusers alone would need the same time one after another.

    python -m benchmarks.engine_overhead
"""

import statistics
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from benchmarks.engine_workload import quantile
from deployments.diffusion.device import Share
from deployments.diffusion.loras import Loras
from deployments.diffusion.pipelines import load_pipelines
from deployments.diffusion.spec import DiffusionSpec
from deployments.diffusion.stepwise import StepwiseDenoiser
from deployments.diffusion.tasks import Kind, Task
from deployments.diffusion.tiny import build_tiny
from deployments.engine.costs import CostModel
from deployments.engine.desk import Desk
from deployments.engine.engine import StepEngine
from deployments.engine.fakes import FakeDenoiser, FakeRequest, FakeState
from deployments.engine.jobs import Ask
from deployments.engine.work import Rules, Shape

STEP_S, BATCH, STEPS = 0.010, 8, 200
BAR_RATIO = 0.03
SHAPE = Shape(512, 512)


def engine_overhead_s() -> list[float]:
    """Time from the end of one denoiser call to the start of the next, for every step at full batch."""
    starts_s: list[float] = []
    ends_s: list[float] = []

    def call(seconds: float) -> None:
        if seconds:
            starts_s.append(time.perf_counter())
            _exactly(seconds)
            ends_s.append(time.perf_counter())

    denoiser = FakeDenoiser(step_s=lambda shape, rows: STEP_S, wait=call)
    engine = StepEngine[FakeRequest, FakeState, str](
        denoiser, Desk(CostModel(BATCH), Rules()), time.monotonic
    )
    futures = [
        engine.submit(
            Ask(FakeRequest(str(index), SHAPE, STEPS), SHAPE, STEPS, deadline_s=time.monotonic() + 600)
        )
        for index in range(BATCH)
    ]
    engine.start()
    for _, future in futures:
        future.result(600)
    engine.close()
    return [
        start_s - end_s
        for start_s, end_s, batch in zip(starts_s[1:], ends_s, denoiser.batches[1:], strict=False)
        if len(batch) == BATCH
    ]


class Device:
    """Answers after STEP_S, beside the thread that asked: launching returns at once."""

    def __init__(self) -> None:
        self.ready_s = 0.0

    def launch(self) -> None:
        self.ready_s = max(self.ready_s, time.perf_counter()) + STEP_S

    def synchronize(self) -> None:
        _exactly(self.ready_s - time.perf_counter())


def diffusers_overhead_s(folder: Path, on_device: bool) -> list[float]:
    spec = DiffusionSpec(kind="diffusion", weights=str(folder))
    pipelines = load_pipelines(spec, Share("cpu"))
    device = Device()

    def forward(sample: torch.Tensor, *args: Any, **kwargs: Any) -> tuple[torch.Tensor]:
        if on_device:
            device.launch()
        return (torch.zeros_like(sample),)

    pipelines.base.unet.forward = forward
    denoiser = StepwiseDenoiser(pipelines, Loras(pipelines.base, None, {}))
    states = [denoiser.prepare(_task(seed)) for seed in range(BATCH)]
    taken_s = []
    try:
        for _ in range(STEPS - 1):
            started_s = time.perf_counter()
            denoiser.step(states, None)
            if on_device:
                device.synchronize()
            taken_s.append(time.perf_counter() - started_s - (STEP_S if on_device else 0.0))
    finally:
        for state in states:
            denoiser.discard(state)
    return taken_s


def _task(seed: int) -> Task:
    return Task(Kind.TEXT_TO_IMAGE, "a fox", "", 512, 512, STEPS, 5.0, seed)


def _exactly(seconds: float) -> None:
    """Sleeps without overshooting, so that the system's timer is not counted as ours."""
    until_s = time.perf_counter() + seconds
    if seconds > 0.001:
        threading.Event().wait(seconds - 0.001)
    while time.perf_counter() < until_s:
        pass


def main() -> None:
    torch.set_num_threads(1)
    with TemporaryDirectory() as temporary:
        folder = build_tiny("sd", temporary)
        rows = {
            "engine": engine_overhead_s(),
            "diffusers, denoiser on a device": diffusers_overhead_s(folder, on_device=True),
            "diffusers, denoiser on this CPU": diffusers_overhead_s(folder, on_device=False),
        }
    print(f"microseconds a step beside a {STEP_S * 1000:.0f} ms denoiser call over {BATCH} requests")
    print(f"{'':34} {'median':>8} {'p95':>8}   of the step")
    for name, taken_s in rows.items():
        median_s = statistics.median(taken_s)
        print(
            f"{name:34} {median_s * 1e6:8.0f} {quantile(taken_s, 0.95) * 1e6:8.0f}   {median_s / STEP_S:.1%}"
        )
    print(f"wanted of the first two: at most {BAR_RATIO:.0%}")


if __name__ == "__main__":
    main()

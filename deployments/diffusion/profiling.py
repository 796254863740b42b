"""Measures what a model's steps cost, by running it. The first pass of each size warms it up."""

import time
from collections.abc import Sequence

from deployments.diffusion.denoisers import AnyDenoiser, choose_denoiser
from deployments.diffusion.device import take_share
from deployments.diffusion.performance import Performance
from deployments.diffusion.pipelines import load_pipelines
from deployments.diffusion.spec import DiffusionSpec
from deployments.diffusion.stepwise import StepwiseDenoiser
from deployments.diffusion.tasks import Kind, Task, shape_of
from deployments.engine.costs import CostModel
from deployments.engine.profile import Profile, profile_of
from deployments.memory import is_out_of_memory

STEPS = 3


def measure(
    denoiser: AnyDenoiser,
    costs: CostModel,
    spec: DiffusionSpec,
    sizes: Sequence[tuple[int, int]],
    batches: Sequence[int],
) -> None:
    """Teaches `costs` each size (width, height) at each batch size; larger ones end where memory does."""
    for width, height in sizes:
        task = Task(
            kind=Kind.TEXT_TO_IMAGE,
            prompt="a red square",
            negative_prompt="",
            width=width,
            height=height,
            steps=STEPS,
            guidance_scale=spec.default_guidance_scale,
            seed=0,
        )
        _pass(denoiser, CostModel(max(batches)), task, 1)
        for batch in sorted(batches):
            try:
                _pass(denoiser, costs, task, batch)
            except Exception as error:
                if batch == 1 or not is_out_of_memory(error):
                    raise
                denoiser.free_memory()
                costs.of(shape_of(task)).cap.failed(batch)
                break


def _pass(denoiser: AnyDenoiser, costs: CostModel, task: Task, batch: int) -> None:
    learned = costs.of(shape_of(task))
    states: list[Performance] = []
    try:
        for _ in range(batch):
            started_s = time.monotonic()
            states.append(denoiser.prepare(task))
            learned.prepare.observe(time.monotonic() - started_s)
        while denoiser.steps_left(states[0]):
            started_s = time.monotonic()
            failures = denoiser.step(states, None)
            learned.step.observe(batch, time.monotonic() - started_s)
            for failure in failures:
                if failure is not None:
                    raise failure
        started_s = time.monotonic()
        denoiser.decode(states[0], frugal=False)
        learned.decode.observe(time.monotonic() - started_s)
    finally:
        for state in states:
            denoiser.discard(state)


def profile_model(
    name: str, spec: DiffusionSpec, sizes: Sequence[tuple[int, int]], batches: Sequence[int]
) -> Profile:
    """Loads the model and measures it at every size (width, height) and batch size. Takes minutes.

    A model that does not share its calls is measured alone.

    Raises ValueError with what to do if the model cannot be loaded or has not such sizes.
    """
    share = take_share(spec.num_gpus, spec.memory_bytes)
    pipelines = load_pipelines(spec, share)
    for width, height in sizes:
        if width % pipelines.size_multiple or height % pipelines.size_multiple:
            raise ValueError(
                f"size {width}x{height}: width and height must be multiples of {pipelines.size_multiple}"
            )
        if width * height > spec.max_pixels:
            raise ValueError(f"size {width}x{height} is over {name}'s max_pixels, {spec.max_pixels}")
    denoiser = choose_denoiser(pipelines, spec)
    if not isinstance(denoiser, StepwiseDenoiser):
        batches = [1]
    costs = CostModel(max(batches))
    measure(denoiser, costs, spec, sizes, batches)
    return profile_of(costs, name, pipelines.revision, share.name, spec.dtype, share.peak_bytes())


def batches_up_to(largest: int) -> list[int]:
    """1, 2, 4 and so on, and the largest itself."""
    doubled = [2**power for power in range(largest.bit_length()) if 2**power < largest]
    return [*doubled, largest]

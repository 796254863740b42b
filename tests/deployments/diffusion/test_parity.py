"""Alone: the very pixels of diffusers. Together: within one level. At a fixed width: whatever the company."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    HeunDiscreteScheduler,
    LCMScheduler,
    PNDMScheduler,
)

from deployments.diffusion.pipelines import PipelineSet
from deployments.diffusion.stepwise import StepwiseDenoiser
from deployments.diffusion.tasks import Kind
from tests.deployments.diffusion.conftest import difference, diffusers_own, run_alone, run_together, task

Pipelines = Callable[[str], PipelineSet]
Stepwise = Callable[[str], StepwiseDenoiser]


@pytest.mark.parametrize("kind", Kind)
def test_alone_it_is_the_very_picture_of_diffusers(
    layout: str, kind: Kind, pipelines: Pipelines, stepwise: Stepwise
) -> None:
    wanted = task(seed=7, kind=kind)
    expected = diffusers_own(pipelines(layout), wanted)
    assert np.array_equal(run_alone(stepwise(layout), wanted), expected)
    assert expected.std() > 10, "a flat picture would prove nothing"


@pytest.mark.parametrize(
    "changes", [{"guidance_scale": 1.0}, {"steps": 1}, {"negative_prompt": ""}, {"width": 96}]
)
def test_alone_it_is_the_very_picture_of_diffusers_with_other_settings(
    layout: str, changes: dict[str, Any], pipelines: Pipelines, stepwise: Stepwise
) -> None:
    wanted = task(seed=3, **changes)
    assert np.array_equal(run_alone(stepwise(layout), wanted), diffusers_own(pipelines(layout), wanted))


@pytest.mark.parametrize(
    "scheduler",
    [
        DDIMScheduler,
        DPMSolverMultistepScheduler,
        EulerAncestralDiscreteScheduler,
        HeunDiscreteScheduler,
        LCMScheduler,
        functools.partial(PNDMScheduler.from_config, skip_prk_steps=True),
    ],
)
def test_every_scheduler_keeps_its_own_state_for_each_request(
    scheduler: Any, pipelines: Pipelines, stepwise: Stepwise
) -> None:
    """Multistep ones remember earlier steps, ancestral ones draw noise: neither may leak."""
    loaded = pipelines("sd")
    usual = {kind: loaded.for_kind(kind).scheduler for kind in Kind}
    try:
        loaded.base.scheduler = getattr(scheduler, "from_config", scheduler)(loaded.base.scheduler.config)
        tasks = [task(seed=seed, steps=2 + seed) for seed in range(3)]
        expected = [diffusers_own(loaded, one) for one in tasks]
        assert np.array_equal(run_alone(stepwise("sd"), tasks[2]), expected[2])
        together = run_together(stepwise("sd"), tasks)
    finally:
        loaded.base.scheduler = usual[Kind.TEXT_TO_IMAGE]
    assert max(difference(one, other) for one, other in zip(together, expected, strict=True)) <= 1


def test_in_company_it_differs_by_a_level_at_most(
    layout: str, pipelines: Pipelines, stepwise: Stepwise
) -> None:
    """Different prompts, numbers of steps, guidance and kinds in one batch."""
    loaded = pipelines(layout)
    tasks = [
        task(seed=1, steps=5),
        task(seed=2, steps=2, guidance_scale=9.0),
        task(seed=3, steps=4, kind=Kind.IMAGE_TO_IMAGE),
        task(seed=4, steps=6, kind=Kind.INPAINT),
    ]
    together = run_together(stepwise(layout), tasks)
    for one, pixels in zip(tasks, together, strict=True):
        assert difference(pixels, diffusers_own(loaded, one)) <= 1


@pytest.mark.parametrize("layout", ["sd", "flux"])
def test_a_frugal_decode_is_a_tiled_one_and_no_other_request_notices(
    layout: str, pipelines: Pipelines, stepwise: Stepwise
) -> None:
    large = task(seed=2, width=160, height=160)
    denoiser, vae = stepwise(layout), pipelines(layout).base.vae
    state, beside = denoiser.prepare(large), denoiser.prepare(large)
    try:
        while denoiser.steps_left(state):
            denoiser.step([state], None)
            denoiser.step([beside], None)
        frugal = denoiser.decode(state, frugal=True)
        assert not vae.use_tiling
        whole = denoiser.decode(beside, frugal=False)
    finally:
        denoiser.discard(state)
        denoiser.discard(beside)
    assert difference(whole, diffusers_own(pipelines(layout), large)) == 0
    vae.enable_tiling()
    try:
        tiled = diffusers_own(pipelines(layout), large)
    finally:
        vae.disable_tiling()
    assert difference(frugal, tiled) == 0
    assert difference(tiled, whole) > 0  # the image is large enough for tiles


def test_with_and_without_guidance_in_one_call(pipelines: Pipelines, stepwise: Stepwise) -> None:
    """Two rows of one request and one of the other."""
    tasks = [task(seed=1), task(seed=2, guidance_scale=1.0)]
    together = run_together(stepwise("sd"), tasks)
    for one, pixels in zip(tasks, together, strict=True):
        assert difference(pixels, diffusers_own(pipelines("sd"), one)) <= 1


def test_at_a_fixed_width_the_company_changes_nothing(layout: str, stepwise: Stepwise) -> None:
    denoiser = stepwise(layout)
    wanted = task(seed=5, steps=4)
    alone = run_alone(denoiser, wanted, width=4)
    company = [task(seed=seed, steps=2 + seed) for seed in range(3)]
    for position in (0, 3):
        tasks = [*company[:position], wanted, *company[position:]]
        assert np.array_equal(run_together(denoiser, tasks, width=4)[position], alone)


def test_the_fixed_width_is_a_batch_of_diffusers_own(pipelines: Pipelines, stepwise: Stepwise) -> None:
    """What a deterministic request gets is what diffusers makes of the same prompt in a batch that wide."""
    loaded = pipelines("sd")
    wanted = task(seed=5)
    arguments = loaded.arguments(wanted) | {
        "num_images_per_prompt": 4,
        "generator": [torch.Generator("cpu").manual_seed(5) for _ in range(4)],
    }
    with_diffusers = np.array(loaded.base(**arguments).images[0].convert("RGB"))
    assert difference(run_alone(stepwise("sd"), wanted, width=4), with_diffusers) <= 1

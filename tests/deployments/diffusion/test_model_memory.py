"""What a model does when its device is out of memory: smaller batches, tiles, and no image lost."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch

from deployments import errors
from deployments.diffusion.collate import Call, Merger
from deployments.diffusion.pipelines import PipelineSet
from deployments.diffusion.stepwise import StepwiseDenoiser
from deployments.types import RenderResult
from tests.deployments.diffusion.conftest import (
    SIZE,
    MakeModel,
    difference,
    diffusers_own,
    request,
    run_together,
    task,
)


async def test_out_of_memory_halves_the_batch_and_loses_no_image(
    make_model: MakeModel, pipelines: Callable[[str], PipelineSet]
) -> None:
    """Every call over 4 rows (2 requests with guidance) fails as torch fails."""
    model = await make_model()
    module = model._loaded.pipelines.base.unet
    forward, calls = module.forward, []

    def tight(sample: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        if sample.shape[0] > 4:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        calls.append(sample.shape[0])
        return forward(sample, *args, **kwargs)

    module.forward = tight
    results: list[RenderResult] = await asyncio.gather(*(model.render(request(seed)) for seed in range(8)))
    for seed, result in enumerate(results):
        expected = diffusers_own(pipelines("sd"), task(seed=seed))
        assert np.abs(result.image.astype(int) - expected).max() <= 1  # type: ignore[union-attr]
    assert sum(calls) == 8 * 3 * 2
    model.check_health()


def test_memory_that_is_short_while_the_next_step_is_joined_spoils_no_step(
    stepwise: Callable[[str], StepwiseDenoiser],
    pipelines: Callable[[str], PipelineSet],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The next step is joined while the device is at this one. If that fails, this one is done all the same,
    and the next call joins again."""
    merge, sizes = Merger.merge, []

    def tight(self: Merger, calls: Sequence[Call]) -> dict[str, Any]:
        sizes.append(len(calls))
        if len(sizes) % 2 == 0:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return merge(self, calls)

    monkeypatch.setattr(Merger, "merge", tight)
    tasks = [task(seed=seed) for seed in range(3)]
    for one, pixels in zip(tasks, run_together(stepwise("sd"), tasks), strict=True):
        assert difference(pixels, diffusers_own(pipelines("sd"), one)) <= 1
    assert sizes == [3] * 5  # for each of three steps, and ahead of the second and the third


async def test_a_request_that_does_not_fit_alone_is_out_of_memory(make_model: MakeModel) -> None:
    model = await make_model()

    def full(*args: Any, **kwargs: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    model._loaded.pipelines.base.unet.forward = full
    with pytest.raises(errors.OutOfMemory):
        await model.render(request())
    model.check_health()


async def test_decoding_is_tried_again_in_tiles(
    make_model: MakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = await make_model()
    vae = model._loaded.pipelines.base.vae
    decode = type(vae).decode

    def tight(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not self.use_tiling:
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to")
        return decode(self, *args, **kwargs)

    monkeypatch.setattr(type(vae), "decode", tight)
    assert (await model.render(request())).image.shape == (SIZE, SIZE, 3)
    assert not vae.use_tiling


async def test_an_opaque_pipeline_out_of_memory_says_so(make_model: MakeModel) -> None:
    """At a step as at the end: the pipeline cannot be asked again, and nobody waits for ever."""
    model = await make_model(execution="opaque")
    base = model._loaded.pipelines.base

    def full(*args: Any, **kwargs: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    decode = base.vae.decode
    base.vae.decode = full
    with pytest.raises(errors.OutOfMemory):
        await model.render(request())
    base.vae.decode = decode
    assert (await model.render(request())).image.shape == (SIZE, SIZE, 3)
    base.unet.forward = full
    with pytest.raises(errors.OutOfMemory):
        await model.render(request())

"""What an unfinished image looks like: the latents that the scheduler expects at the end, decoded.

Watches the scheduler of one request. Knows the conventions of diffusers' autoencoders, and no pipeline.
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from deployments.diffusion.sidework import SideWork
from deployments.types import Pixels


class Watch:
    """Counts the steps of one scheduler and, if asked to, keeps its latest prediction of the end.

    Schedulers that return it beside the next sample (Euler, DDIM, LCM) are taken at their word. For flow
    matching, x0 = x - sigma * v. For others the noisy sample has to do.
    """

    def __init__(self, scheduler: Any, forecasts: bool) -> None:
        self.steps = 0
        self.latents: torch.Tensor | None = None
        self._forecasts = forecasts
        self._scheduler = scheduler
        self._step = scheduler.step

        # Pipelines look at the signature of `step`, which wraps keeps.
        @functools.wraps(self._step)
        def step(*args: Any, **kwargs: Any) -> Any:
            return self._watched(*args, **kwargs)

        scheduler.step = step

    def _watched(self, model_output: Any, timestep: Any, sample: Any, *args: Any, **kwargs: Any) -> Any:
        index = getattr(self._scheduler, "step_index", None)
        result = self._step(model_output, timestep, sample, *args, **kwargs)
        self.steps += 1
        if self._forecasts:
            self.latents = self._expected(result, model_output, sample, index)
        return result

    def _expected(self, result: Any, model_output: torch.Tensor, sample: Any, index: int | None) -> Any:
        returned = tuple(result) if isinstance(result, tuple) else tuple(result.values())
        if len(returned) > 1 and isinstance(returned[1], torch.Tensor) and returned[1].shape == sample.shape:
            return returned[1]
        if "FlowMatch" in type(self._scheduler).__name__:
            sigma = self._scheduler.sigmas[index or 0].to(sample.device)
            return sample - sigma * model_output
        return returned[0]


def decoder(pipeline: Any, latents: torch.Tensor, width: int, height: int) -> Callable[[], Pixels]:
    """A function that decodes `latents` as the pipeline would at its end."""

    def decode() -> Pixels:
        image = pipeline.vae.decode(_unscaled(pipeline, latents, width, height), return_dict=False)[0]
        return np.array(pipeline.image_processor.postprocess(image, output_type="pil")[0].convert("RGB"))

    return SideWork(decode).run


def _unscaled(pipeline: Any, latents: torch.Tensor, width: int, height: int) -> torch.Tensor:
    config = pipeline.vae.config
    if hasattr(pipeline, "_unpack_latents"):
        latents = pipeline._unpack_latents(latents, height, width, pipeline.vae_scale_factor)
    latents = latents.to(next(pipeline.vae.decoder.parameters()).dtype)
    mean, std = getattr(config, "latents_mean", None), getattr(config, "latents_std", None)
    if mean is not None and std is not None:
        mean, std = (torch.tensor(value).view(1, -1, 1, 1).to(latents) for value in (mean, std))
        return latents * std / config.scaling_factor + mean
    return latents / config.scaling_factor + (getattr(config, "shift_factor", None) or 0.0)

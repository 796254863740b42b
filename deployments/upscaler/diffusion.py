"""Diffusers' upscale pipelines as a backend: the latent one (2x) and Stable Diffusion's (4x).

Each tile is a run of the pipeline's own `__call__`. Its noise belongs to its place in the picture, not to a
request, so the same picture gives the same pixels, and tiles that overlap begin alike. What they invent may
still differ where they meet: a pipeline sees nothing beyond its tile.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
from diffusers import (
    DiffusionPipeline,
    StableDiffusionLatentUpscalePipeline,
    StableDiffusionUpscalePipeline,
)

from deployments.diffusion.pipelines import hash_of
from deployments.diffusion.spec import is_local
from deployments.tiles.backend import Backend, TorchDevice
from deployments.tiles.grid import Tile, Tiles, rounded, too_narrow
from deployments.upscaler.backends import LanczosBackend
from deployments.upscaler.footprint import LiveTensors
from deployments.upscaler.noise import placed_noise, seed_of
from deployments.upscaler.spec import DiffusionUpscaling, UpscalerSpec

DEFAULT_NOISE_LEVEL = 20


def load_pipeline(spec: UpscalerSpec, weights: str, run: DiffusionUpscaling) -> Backend:
    """Raises ValueError for another pipeline, or one that `run` does not fit."""
    local = is_local(weights)
    if local and not (Path(weights) / "model_index.json").is_file():
        raise ValueError(f"weights {weights!r} is not a diffusers pipeline: it holds no model_index.json")
    on = TorchDevice(spec.dtype)
    pipeline = DiffusionPipeline.from_pretrained(
        weights,
        revision=None if local else spec.revision,
        dtype=on.dtype,
        use_safetensors=True,
        trust_remote_code=False,
        local_files_only=local,
    ).to(on.device)
    pipeline.set_progress_bar_config(disable=True)
    revision = spec.revision or hash_of(Path(weights))
    match pipeline:
        case StableDiffusionLatentUpscalePipeline():
            return LatentBackend(pipeline, on, spec, run, revision)
        case StableDiffusionUpscalePipeline():
            return FourfoldBackend(pipeline, on, spec, run, revision)
        case _:
            raise ValueError(
                f"weights {weights!r} are a {type(pipeline).__name__}: use a "
                "StableDiffusionLatentUpscalePipeline or a StableDiffusionUpscalePipeline"
            )


class _PipelineBackend:
    """What the two have in common. `latents_per_pixel` is along a side of the input."""

    factor: int
    align: int
    margin = 0
    latents_per_pixel: float

    def __init__(
        self,
        pipeline: Any,
        on: TorchDevice,
        spec: UpscalerSpec,
        run: DiffusionUpscaling,
        revision: str,
    ) -> None:
        self._pipeline = pipeline
        self._on = on
        self._run = run
        self.alpha: Backend | None = LanczosBackend(self.factor)  # a pipeline would paint pictures into it
        self.tile_batch = on.tile_batch
        self.revision = revision
        self.versions = {
            "backend": type(pipeline).__name__,
            "torch": on.torch.__version__,
            "diffusers": diffusers.__version__,
            "numpy": np.__version__,
            "dtype": spec.dtype,
            "steps": str(run.steps),
        }
        largest_side = self._tile_side(spec)
        self._areas = self.align**2, largest_side**2
        self._bytes = self._measured_bytes(self.align), self._measured_bytes(largest_side)

    def tile_bytes(self, height: int, width: int) -> int:
        """Between what the smallest and the largest tile take. Attention grows faster than a tile's area, so
        those between take no more than a straight line says."""
        (small, large), (least, most) = self._areas, self._bytes
        share = (height * width - small) / max(1, large - small)
        return math.ceil(least + share * (most - least))

    def compute(self, tiles: Tiles, places: Sequence[Tile]) -> Tiles:
        return self._computed(tiles, places, self._run.steps)

    def after_out_of_memory(self) -> None:
        self._on.after_out_of_memory()

    def check_health(self) -> None:
        self._on.check_health()

    def _computed(self, tiles: Tiles, places: Sequence[Tile], steps: int) -> Tiles:
        torch = self._on.torch
        channels = self._pipeline.vae.config.latent_channels
        noise = placed_noise(places, tiles.shape[1:3], channels, self.align, self.latents_per_pixel)
        with torch.inference_mode():
            enlarged = self._pipeline(
                prompt=[self._run.prompt] * len(tiles),
                negative_prompt=[self._run.negative_prompt] * len(tiles),
                image=self._input(self._on.to_device(tiles)),
                num_inference_steps=steps,
                guidance_scale=self._run.guidance_scale,
                latents=torch.from_numpy(noise).to(self._on.device, self._on.dtype),
                generator=[torch.Generator("cpu").manual_seed(seed_of(place)) for place in places],
                output_type="pt",
                return_dict=False,
                **self._more_arguments(),
            )[0]
            return self._on.to_pixels(enlarged)

    def _input(self, pixels: Any) -> Any:
        """What the pipeline takes as `image`, of pixels (n, 3, height, width) in 0..1."""
        return pixels

    def _more_arguments(self) -> dict[str, Any]:
        return {}

    def _tile_side(self, spec: UpscalerSpec) -> int:
        """Of a picture cut into several. Raises ValueError unless an overlap is at most half of it."""
        side, overlap = rounded(spec.tile, spec.overlap, self.align)
        if 2 * overlap > side:
            raise too_narrow(spec.tile, spec.overlap, self.align)
        return side

    def _measured_bytes(self, side: int) -> int:
        """Of one tile, in a single step: more steps hold no more."""
        with LiveTensors() as live:
            self._computed(np.zeros((1, side, side, 3), np.uint8), [Tile(0, 0)], steps=1)
        return int(live.peak_bytes)


class LatentBackend(_PipelineBackend):
    """2x: the input is encoded to latents, twice as many are made, and decoded."""

    factor = 2

    def __init__(
        self, pipeline: Any, on: TorchDevice, spec: UpscalerSpec, run: DiffusionUpscaling, revision: str
    ) -> None:
        if run.noise_level is not None:
            raise ValueError("noise_level is of 4x pipelines: these weights are a latent one")
        shrinks = _halvings(pipeline.vae)
        # Two latents are left at the innermost level, which pads by one.
        self.align = shrinks * _halvings(pipeline.unet)
        self.latents_per_pixel = 2 / shrinks
        super().__init__(pipeline, on, spec, run, revision)

    def _input(self, pixels: Any) -> Any:
        """The most likely latents instead of drawn ones: tiles that overlap encode alike."""
        vae = self._pipeline.vae
        return vae.encode(pixels * 2 - 1).latent_dist.mode() * vae.config.scaling_factor


class FourfoldBackend(_PipelineBackend):
    """4x: latents are as many as the input has pixels, and stand beside it, slightly noised."""

    latents_per_pixel = 1.0

    def __init__(
        self, pipeline: Any, on: TorchDevice, spec: UpscalerSpec, run: DiffusionUpscaling, revision: str
    ) -> None:
        self._noise_level = DEFAULT_NOISE_LEVEL if run.noise_level is None else run.noise_level
        most = pipeline.config.max_noise_level
        if self._noise_level > most:
            raise ValueError(f"noise_level {self._noise_level} is over {most}, the most these weights know")
        self.factor = _halvings(pipeline.vae)
        self.align = math.lcm(self.factor, _halvings(pipeline.unet))
        super().__init__(pipeline, on, spec, run, revision)

    def _more_arguments(self) -> dict[str, Any]:
        return {"noise_level": self._noise_level}


def _halvings(network: Any) -> int:
    """By how much the network's innermost level is smaller than its input; each but the last halves it."""
    return int(2 ** (len(network.config.block_out_channels) - 1))

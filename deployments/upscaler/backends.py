"""What enlarges a batch of tiles: a Swin2SR network, a diffusers pipeline (diffusion.py), or Lanczos.

Knows weights and devices; nothing of tiles' places, budgets or requests.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from PIL import Image

from deployments.diffusion.spec import is_local, require_pinned
from deployments.tiles.backend import Backend, TorchDevice, digest
from deployments.tiles.grid import Tile, Tiles
from deployments.upscaler.spec import UpscalerSpec


def load_backend(spec: UpscalerSpec) -> Backend:
    """Raises ValueError for weights that are not there, are not pinned, or cannot make the spec's factor."""
    if spec.weights is None:
        return LanczosBackend(spec.factor)
    require_pinned(spec.weights, spec.revision)
    if is_local(spec.weights) and not Path(spec.weights).is_dir():
        raise ValueError(f"weights {spec.weights!r} is not a folder here")
    backend: Backend
    if spec.diffusion is None:
        backend = Swin2srBackend(spec, spec.weights)
    else:
        from deployments.upscaler.diffusion import load_pipeline

        backend = load_pipeline(spec, spec.weights, spec.diffusion)
    if backend.factor not in (2, spec.factor) or backend.factor > spec.factor:
        raise ValueError(f"weights that enlarge {backend.factor}x cannot make {spec.factor}x")
    return backend


class LanczosBackend:
    """Pillow's Lanczos filter (a = 3), any factor in one call."""

    align = 1
    margin = 0
    alpha: Backend | None = None
    tile_batch = 1

    def __init__(self, factor: int) -> None:
        self.factor = factor
        self.revision = f"lanczos-pillow-{PIL.__version__}"
        self.versions = {"backend": "lanczos", "pillow": PIL.__version__}

    def tile_bytes(self, height: int, width: int) -> int:
        """Pillow holds pixels in 4 bytes: input, one axis enlarged, both; then the arrays of 3."""
        return height * width * (3 + 4 + 4 * self.factor + (4 + 3 + 3) * self.factor**2)

    def compute(self, tiles: Tiles, places: Sequence[Tile]) -> Tiles:
        height, width = tiles.shape[1:3]
        size = (width * self.factor, height * self.factor)
        return np.stack(
            [np.asarray(Image.fromarray(tile).resize(size, Image.Resampling.LANCZOS)) for tile in tiles]
        )

    def after_out_of_memory(self) -> None:
        return None

    def check_health(self) -> None:
        return None


class Swin2srBackend:
    """`Swin2SRForImageSuperResolution` by `from_pretrained`: safetensors only, no remote code."""

    alpha: Backend | None = None

    def __init__(self, spec: UpscalerSpec, weights: str) -> None:
        from transformers import Swin2SRForImageSuperResolution

        self._on = TorchDevice(spec.dtype)
        network: Any = Swin2SRForImageSuperResolution.from_pretrained(
            weights, revision=spec.revision, use_safetensors=True, dtype=self._on.dtype
        )
        self._network = network.to(self._on.device).eval()
        config = network.config
        self.factor = int(config.upscale)
        self.align = self.margin = int(config.window_size)
        self.tile_batch = self._on.tile_batch
        self.revision = spec.revision or digest(Path(weights))
        self.versions = {"backend": "swin2sr", "torch": self._on.torch.__version__, "dtype": spec.dtype}
        self._pixel_bytes = _pixel_bytes(config, self._on.dtype.itemsize)

    def tile_bytes(self, height: int, width: int) -> int:
        return int(height * width * self._pixel_bytes)

    def compute(self, tiles: Tiles, places: Sequence[Tile]) -> Tiles:
        with self._on.torch.inference_mode():
            return self._on.to_pixels(self._network(pixel_values=self._on.to_device(tiles)).reconstruction)

    def after_out_of_memory(self) -> None:
        self._on.after_out_of_memory()

    def check_health(self) -> None:
        self._on.check_health()


def _pixel_bytes(config: Any, item_bytes: int) -> float:
    """Peak bytes for an input pixel: attention of a layer (scores, their copies with position bias and masks,
    softmax), the token's features in that layer, and the network's output. Checked by the benchmark.
    """
    heads = max(config.num_heads)
    attention = 6 * heads * config.window_size**2
    features = config.embed_dim * (8 + config.mlp_ratio)
    output = 3 * config.num_channels_out * config.upscale**2
    return float(item_bytes * (attention + features + output))

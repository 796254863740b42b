"""What enlarges a batch of tiles: a Swin2SR network, or Lanczos resampling.

Knows weights and devices; nothing of tiles' places, budgets or requests.
"""

import hashlib
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import PIL
from PIL import Image

from deployments.upscaler.spec import UpscalerSpec
from deployments.upscaler.tiling import Tiles


class Backend(Protocol):
    """`factor` is by how much one call enlarges. `align` is the window to which tiles are aligned, `margin`
    how many repeated edge pixels it wants around an image."""

    factor: int
    align: int
    margin: int
    revision: str
    tile_batch: int
    versions: dict[str, str]

    def tile_bytes(self, height: int, width: int) -> int:
        """What one tile of input pixels takes while it is computed, its output included."""
        ...

    def enlarge(self, tiles: Tiles) -> Tiles: ...

    def after_out_of_memory(self) -> None:
        """Gives back what the framework cached, before a smaller batch is tried."""
        ...

    def check_health(self) -> None:
        """Raises RuntimeError when the device is lost."""
        ...


def load_backend(spec: UpscalerSpec) -> Backend:
    return LanczosBackend(spec.factor) if spec.weights is None else Swin2srBackend(spec, spec.weights)


class LanczosBackend:
    """Pillow's Lanczos filter (a = 3), any factor in one call."""

    align = 1
    margin = 0
    tile_batch = 1

    def __init__(self, factor: int) -> None:
        self.factor = factor
        self.revision = f"lanczos-pillow-{PIL.__version__}"
        self.versions = {"backend": "lanczos", "pillow": PIL.__version__}

    def tile_bytes(self, height: int, width: int) -> int:
        """Pillow holds pixels in 4 bytes: input, one axis enlarged, both; then the array of 3."""
        return height * width * (4 + 3 + 4 * self.factor + 7 * self.factor**2)

    def enlarge(self, tiles: Tiles) -> Tiles:
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
    """`Swin2SRForImageSuperResolution` by `from_pretrained`: safetensors only, no remote code.

    Raises ValueError when the weights enlarge by a factor that cannot make up the spec's.
    """

    def __init__(self, spec: UpscalerSpec, weights: str) -> None:
        import torch
        from transformers import Swin2SRForImageSuperResolution

        folder = Path(weights)
        if not folder.is_dir() and spec.revision is None:
            raise ValueError(
                f"weights {weights!r} is not a folder here; a hub id needs a pinned revision beside it"
            )
        self._torch = torch
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._dtype = getattr(torch, spec.dtype)
        self._network: Any = (
            Swin2SRForImageSuperResolution.from_pretrained(
                weights, revision=spec.revision, use_safetensors=True, dtype=self._dtype
            )
            .to(self._device)
            .eval()
        )
        config = self._network.config
        self.factor = int(config.upscale)
        if self.factor not in (spec.factor, 2) or self.factor > spec.factor:
            raise ValueError(f"weights that enlarge {self.factor}x cannot make {spec.factor}x")
        self.align = int(config.window_size)
        self.margin = self.align
        self.revision = spec.revision or _digest(folder)
        self.versions = {"backend": "swin2sr", "torch": torch.__version__}
        self.tile_batch = 8 if self._device.type == "cuda" else 1
        self._pixel_bytes = _pixel_bytes(config, self._dtype.itemsize)

    def tile_bytes(self, height: int, width: int) -> int:
        return int(height * width * self._pixel_bytes)

    def enlarge(self, tiles: Tiles) -> Tiles:
        torch = self._torch
        with torch.inference_mode():
            pixels = torch.from_numpy(tiles).to(self._device).permute(0, 3, 1, 2).to(self._dtype) / 255
            enlarged = self._network(pixel_values=pixels).reconstruction
            levels = (enlarged.float() * 255).round_().clamp_(0, 255).to(torch.uint8)
            result: Tiles = levels.permute(0, 2, 3, 1).contiguous().cpu().numpy()
        return result

    def after_out_of_memory(self) -> None:
        if self._device.type == "cuda":
            self._torch.cuda.empty_cache()

    def check_health(self) -> None:
        if self._device.type == "cuda":
            self._torch.cuda.synchronize(self._device)


def _pixel_bytes(config: Any, item_bytes: int) -> float:
    """Peak bytes for an input pixel: attention of a layer (scores, two masked copies, softmax), the token's
    features in that layer, and the network's output. Checked by benchmarks/upscaler.py."""
    heads = max(config.num_heads)
    attention = 4 * heads * config.window_size**2
    features = config.embed_dim * (8 + config.mlp_ratio)
    output = 3 * config.num_channels_out * config.upscale**2
    return float(item_bytes * (attention + features + output))


def _digest(folder: Path) -> str:
    """Identifies weights by content, so that a receipt names them wherever they lie."""
    digest = hashlib.sha256()
    for file in sorted(folder.glob("*.safetensors")):
        digest.update(file.read_bytes())
    return f"sha256-{digest.hexdigest()[:16]}"

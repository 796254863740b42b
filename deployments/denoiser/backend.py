"""Runs the denoising network over tiles. Knows devices; nothing of requests."""

from collections.abc import Sequence
from pathlib import Path

from deployments.tiles.backend import Backend, TorchDevice, digest
from deployments.tiles.grid import Tile, Tiles

LIVE_TENSORS = 11
"""Maps of the fine scale's size alive at once, with the four times wider way up from the coarse scale and the
copies that convolutions work on. Measured: 350 to 460 bytes a pixel on a CPU; this makes it 394."""


class DenoiserBackend:
    """`TwoScaleDenoiser` weights from a local folder. Raises ValueError for another architecture."""

    factor = 1
    margin = 16
    alpha: Backend | None = None

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise ValueError(f"weights {folder.name!r} is not a folder here")
        from deployments.denoiser import network

        self.align = network.PERIOD
        self._on = TorchDevice("float32")
        loaded = network.load(folder)
        self._network = loaded.to(self._on.device, memory_format=self._on.torch.channels_last)
        self.tile_batch = self._on.tile_batch
        self.revision = digest(folder)
        self.versions = {"backend": "two-scale-denoiser", "torch": self._on.torch.__version__}

    def tile_bytes(self, height: int, width: int) -> int:
        """Features are at half resolution, pixels (input, noise, difference) in floats and bytes."""
        features = LIVE_TENSORS * 4 * self._network.channels / 4
        return int(height * width * (features + 3 * (3 * 4 + 2)))

    def compute(self, tiles: Tiles, places: Sequence[Tile]) -> Tiles:
        with self._on.torch.inference_mode():
            pixels = self._on.to_device(tiles).contiguous(memory_format=self._on.torch.channels_last)
            return self._on.to_pixels(self._network(pixels))

    def after_out_of_memory(self) -> None:
        self._on.after_out_of_memory()

    def check_health(self) -> None:
        self._on.check_health()

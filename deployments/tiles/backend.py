"""What computes a batch of tiles: the seam between tiling and networks."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from deployments.tiles.grid import Tile, Tiles


class Backend(Protocol):
    """`factor` is by how much one call enlarges. Tiles start at multiples of `align`, and `margin` repeated
    edge pixels surround an image. `alpha` enlarges transparency by the same factor; None: it is enlarged as a
    picture of its own. `versions` go into receipts. Attributes do not change."""

    factor: int
    align: int
    margin: int
    tile_batch: int
    revision: str
    versions: dict[str, str]
    alpha: "Backend | None"

    def tile_bytes(self, height: int, width: int) -> int:
        """What one tile of input pixels takes while it is computed, its output included."""
        ...

    def compute(self, tiles: Tiles, places: Sequence[Tile]) -> Tiles:
        """(n, height, width, 3) to (n, factor x height, factor x width, 3), 8 bits.

        The same tiles at the same places in the same batch give the same pixels.
        """
        ...

    def after_out_of_memory(self) -> None:
        """Gives back what the framework cached, before a smaller batch is tried."""
        ...

    def check_health(self) -> None:
        """Raises RuntimeError when the device is lost."""
        ...


class TorchDevice:
    """The device a network runs on, and what backends on torch have in common."""

    def __init__(self, dtype: str) -> None:
        import torch

        self.torch: Any = torch
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.dtype = getattr(torch, dtype)
        self.tile_batch = 8 if self.device.type == "cuda" else 1

    def to_device(self, tiles: Tiles) -> Any:
        """(n, 3, height, width) in 0..1."""
        return self.torch.from_numpy(tiles).to(self.device).permute(0, 3, 1, 2).to(self.dtype) / 255

    def to_pixels(self, tensor: Any) -> Tiles:
        levels = (tensor.float() * 255).round_().clamp_(0, 255).to(self.torch.uint8)
        pixels: Tiles = levels.permute(0, 2, 3, 1).contiguous().cpu().numpy()
        return pixels

    def after_out_of_memory(self) -> None:
        if self.device.type == "cuda":
            self.torch.cuda.empty_cache()

    def check_health(self) -> None:
        if self.device.type == "cuda":
            self.torch.cuda.synchronize(self.device)


def digest(folder: Path) -> str:
    """Identifies weights by content, so that a receipt names them wherever they lie."""
    content = hashlib.sha256()
    for file in sorted(folder.glob("*.safetensors")):
        content.update(file.read_bytes())
    return f"sha256-{content.hexdigest()[:16]}"

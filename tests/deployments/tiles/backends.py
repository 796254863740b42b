"""Backends for tests: exact arithmetic, and failures on demand."""

import threading
from collections.abc import Sequence

import numpy as np

from deployments.tiles.backend import Backend
from deployments.tiles.grid import Tile, Tiles


class Repeating:
    """Repeats every pixel `factor` times: tiles join to exactly what the whole image gives.

    Runs out of memory above `fits` tiles at once. While `hold` is cleared, computing waits.
    """

    revision = "repeating-1"

    def __init__(
        self, factor: int = 2, align: int = 8, margin: int = 8, fits: int = 1000, pixel_bytes: int = 10
    ) -> None:
        self.factor = factor
        self.align = align
        self.margin = margin
        self.tile_batch = 4
        self.versions = {"backend": "repeating"}
        self.alpha: Backend | None = None
        self.fits = fits
        self.pixel_bytes = pixel_bytes
        self.batches: list[int] = []
        self.computing = threading.Event()
        self.hold = threading.Event()
        self.hold.set()
        self.releases = 0

    def tile_bytes(self, height: int, width: int) -> int:
        return height * width * self.pixel_bytes

    def compute(self, tiles: Tiles, places: Sequence[Tile]) -> Tiles:
        import torch

        self.computing.set()
        assert self.hold.wait(10), "the test did not let the backend go on"
        if len(tiles) > self.fits:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")
        assert tiles.dtype == np.uint8
        assert tiles.shape[1] % self.align == tiles.shape[2] % self.align == 0
        self.batches.append(len(tiles))
        return tiles.repeat(self.factor, 1).repeat(self.factor, 2)

    def after_out_of_memory(self) -> None:
        self.releases += 1

    def check_health(self) -> None:
        return None

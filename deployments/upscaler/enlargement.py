"""One image on its way to its enlarged size: which tiles are left, what it holds in memory.

Computes in steps that a caller may stop between. Knows nothing of threads, requests or other images.
"""

import math
from collections.abc import Callable, Iterator
from itertools import islice

import numpy as np

from deployments import errors
from deployments.memory import is_out_of_memory
from deployments.types import Pixels
from deployments.upscaler import transparency
from deployments.upscaler.backends import Backend
from deployments.upscaler.spec import UpscalerSpec
from deployments.upscaler.tiling import TileGrid, Tiles, grid

ENCODER_BYTES_PER_PIXEL = 4 + 4
"""Pillow's own copy of the pixels, and the file, of which a noisy RGBA image needs almost 4 bytes a pixel."""


class Enlargement:
    """`output` is complete once `steps` is exhausted. `reserved_bytes` is the most it holds at any time."""

    def __init__(self, backend: Backend, spec: UpscalerSpec, image: Pixels) -> None:
        """Raises OutOfMemory for an image that does not fit `spec.tile_memory_bytes` with a batch of one."""
        self._backend = backend
        self._image = image
        self._translucent = image.shape[2] == 4 and int(image[..., 3].min()) < 255
        self._passes = max(1, round(math.log(spec.factor, backend.factor)))
        self._grids = [self._grid(spec, number) for number in range(self._passes)]
        self.factor = spec.factor
        self.tiles = sum(len(tiles) for tiles in self._grids) * (2 if self._translucent else 1)
        self.tile_batch = self._largest_batch(spec)
        self.reserved_bytes = max(self._computing_bytes(self.tile_batch), self._encoding_bytes())
        self.output: Pixels = np.empty((0, 0, image.shape[2]), np.uint8)

    @property
    def megapixels(self) -> float:
        """Of the output."""
        height, width = self._image.shape[:2]
        return float(height * width * self.factor**2 / 1e6)

    def steps(self) -> Iterator[int]:
        """Each step computes one batch and yields how many tiles it held."""
        height, width, channels = self._image.shape
        self.output = np.empty((height * self.factor, width * self.factor, channels), np.uint8)
        colours = transparency.bled_colours(self._image) if self._translucent else self._image[..., :3]
        yield from self._plane(colours, self.output[..., :3], lambda tile: tile)
        if self._translucent:
            yield from self._plane(self._image[..., 3], self.output[..., 3], _grey)
        elif channels == 4:
            self.output[..., 3] = 255

    def _plane(self, plane: Pixels, target: Pixels, restore: Callable[[Tiles], Tiles]) -> Iterator[int]:
        """All passes over colours (height, width, 3) or one channel (height, width)."""
        for number, tiles in enumerate(self._grids):
            last = number + 1 == self._passes
            factor = self._backend.factor
            shape = (plane.shape[0] * factor, plane.shape[1] * factor, *plane.shape[2:])
            larger = target if last else np.empty(shape, np.uint8)
            pending = iter(tiles)
            while batch := list(islice(pending, self.tile_batch)):
                cuts = np.stack([_three_channels(tiles.cut(plane, tile)) for tile in batch])
                for tile, enlarged in zip(batch, restore(self._enlarge(cuts)), strict=True):
                    tiles.join(larger, tile, enlarged, factor)
                yield len(batch)
            plane = larger

    def _enlarge(self, cuts: Tiles) -> Tiles:
        """Halves the batch, for the rest of this image too, as often as memory runs out."""
        while True:
            try:
                size = min(self.tile_batch, len(cuts))
                parts = [
                    self._backend.enlarge(cuts[start : start + size]) for start in range(0, len(cuts), size)
                ]
                return parts[0] if len(parts) == 1 else np.concatenate(parts)
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
            if self.tile_batch == 1:
                raise errors.OutOfMemory("one tile does not fit this replica's memory")
            self._backend.after_out_of_memory()
            self.tile_batch = max(1, min(self.tile_batch, len(cuts)) // 2)

    def _grid(self, spec: UpscalerSpec, number: int) -> TileGrid:
        grown = self._backend.factor**number
        height, width = (extent * grown for extent in self._image.shape[:2])
        backend = self._backend
        return grid(height, width, spec.tile, spec.overlap, backend.align, backend.margin)

    def _largest_batch(self, spec: UpscalerSpec) -> int:
        wanted = min(spec.tile_batch or self._backend.tile_batch, max(len(tiles) for tiles in self._grids))
        limit = spec.tile_memory_bytes
        for batch in range(wanted, 0, -1):
            if max(self._computing_bytes(batch), self._encoding_bytes()) <= limit:
                return batch
        needed = max(self._computing_bytes(1), self._encoding_bytes())
        raise errors.OutOfMemory(
            f"enlarging this image takes {needed >> 20} MiB, this replica grants {limit >> 20} MiB"
        )

    def _computing_bytes(self, batch: int) -> int:
        """The output, the planes a pass reads and writes, and a batch; or what bleeding colours takes."""
        height, width, channels = self._image.shape
        pixels = height * width
        lasting = pixels * self.factor**2 * channels + (pixels * 3 if self._translucent else 0)
        passes = [
            self._intermediate_bytes(number)
            + self._intermediate_bytes(number + 1)
            + batch * self._backend.tile_bytes(tiles.height, tiles.width)
            for number, tiles in enumerate(self._grids)
        ]
        bleeding = pixels * transparency.BYTES_PER_PIXEL if self._translucent else 0
        return int(lasting + max(*passes, bleeding))

    def _intermediate_bytes(self, number: int) -> int:
        """Of what pass `number` reads; the first reads the input, and the last writes the output."""
        if not 0 < number < self._passes:
            return 0
        height, width = self._image.shape[:2]
        return int(height * width * self._backend.factor ** (2 * number) * 3)

    def _encoding_bytes(self) -> int:
        height, width, channels = self._image.shape
        return int(height * width * self.factor**2 * (channels + ENCODER_BYTES_PER_PIXEL))


def _three_channels(cut: Pixels) -> Pixels:
    return cut if cut.ndim == 3 else np.broadcast_to(cut[..., None], (*cut.shape, 3))


def _grey(tiles: Tiles) -> Tiles:
    """One channel of tiles whose three were equal before a network saw them."""
    grey: Tiles = ((tiles.astype(np.uint16).sum(-1) + 1) // 3).astype(np.uint8)
    return grey

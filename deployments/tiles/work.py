"""One image on its way through a network: which tiles are left, what it holds in memory.

Computes in steps that a caller may stop between. Knows nothing of threads, requests or other images.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

import numpy as np

from deployments import errors
from deployments.memory import is_out_of_memory
from deployments.tiles import transparency
from deployments.tiles.backend import Backend
from deployments.tiles.grid import Tile, TileGrid, Tiles, grid
from deployments.tiles.spec import TiledSpec
from deployments.types import Pixels


class TileWork:
    """`output`, `factor` times the size of the image, is complete once `steps` is exhausted.

    Transparency is enlarged as a picture of its own; with a factor of 1 it stays as it is. `tile_batch`
    depends on the image and the spec alone, so that the same image is computed in the same batches whatever
    else runs. `reserved_bytes` is the most that the work and encoding its output hold at any time.
    """

    def __init__(
        self, backend: Backend, spec: TiledSpec, factor: int, image: Pixels, encoder_pixel_bytes: int = 0
    ) -> None:
        """`encoder_pixel_bytes` is what encoding the output takes beside it, 0 for raw pixels.

        Raises OutOfMemory for an image that does not fit `spec.tile_memory_bytes` tile by tile.
        """
        self._backend = backend
        self._image = image
        self._translucent = image.shape[2] == 4 and int(image[..., 3].min()) < 255
        passes = 1 if factor == backend.factor else round(math.log(factor, backend.factor))
        self._grids = [self._grid(spec, backend.factor**number) for number in range(passes)]
        self._encoder_pixel_bytes = encoder_pixel_bytes
        self.factor = factor
        self.tiles = sum(map(len, self._grids)) * (2 if self._enlarges_alpha else 1)
        self.tile_batch = self._largest_batch(spec)
        self.reserved_bytes = self._peak_bytes(self.tile_batch)
        self.output: Pixels = np.empty((0, 0, image.shape[2]), np.uint8)

    @property
    def megapixels(self) -> float:
        """Of the output."""
        return self._input_pixels * self.factor**2 / 1e6

    def steps(self) -> Iterator[int]:
        """Each step computes one batch and yields how many tiles it held."""
        height, width, channels = self._image.shape
        self.output = np.empty((height * self.factor, width * self.factor, channels), np.uint8)
        colours = transparency.bled_colours(self._image) if self._translucent else self._image[..., :3]
        yield from self._plane(self._backend, colours, self.output[..., :3], lambda tiles: tiles)
        if self._enlarges_alpha:
            alpha = self._backend.alpha or self._backend
            yield from self._plane(alpha, self._image[..., 3], self.output[..., 3], _grey)
        elif channels == 4:
            self.output[..., 3] = self._image[..., 3] if self._translucent else 255

    @property
    def _input_pixels(self) -> int:
        return int(self._image.shape[0] * self._image.shape[1])

    @property
    def _enlarges_alpha(self) -> bool:
        return self._translucent and self.factor > 1

    def _grid(self, spec: TiledSpec, grown: int) -> TileGrid:
        height, width = self._image.shape[:2]
        align, margin = self._backend.align, self._backend.margin
        return grid(height * grown, width * grown, spec.tile, spec.overlap, align, margin)

    def _plane(
        self, backend: Backend, plane: Pixels, target: Pixels, restore: Callable[[Tiles], Tiles]
    ) -> Iterator[int]:
        """All passes over colours (height, width, 3) or one channel (height, width)."""
        factor = backend.factor
        for number, tiles in enumerate(self._grids):
            shape = (plane.shape[0] * factor, plane.shape[1] * factor, *plane.shape[2:])
            larger = target if number + 1 == len(self._grids) else np.empty(shape, np.uint8)
            pending = iter(tiles)
            while batch := list(islice(pending, self.tile_batch)):
                cuts = np.stack([_three_channels(tiles.cut(plane, tile)) for tile in batch])
                for tile, computed in zip(batch, restore(self._compute(backend, cuts, batch)), strict=True):
                    tiles.join(larger, tile, computed, factor)
                yield len(batch)
            plane = larger

    def _compute(self, backend: Backend, cuts: Tiles, places: Sequence[Tile]) -> Tiles:
        """Halves the batch, for the rest of this image too, as often as memory runs out."""
        while True:
            size = min(self.tile_batch, len(cuts))
            try:
                parts = [
                    backend.compute(cuts[start : start + size], places[start : start + size])
                    for start in range(0, len(cuts), size)
                ]
                return parts[0] if len(parts) == 1 else np.concatenate(parts)
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
            # Outside of the handler: its traceback would keep the tensors of the failed batch alive.
            backend.after_out_of_memory()
            if size == 1:
                raise errors.OutOfMemory("one tile does not fit this replica's memory")
            self.tile_batch = size // 2

    def _largest_batch(self, spec: TiledSpec) -> int:
        wanted = min(spec.tile_batch or self._backend.tile_batch, max(map(len, self._grids)))
        limit = spec.tile_memory_bytes
        for batch in range(wanted, 0, -1):
            if self._peak_bytes(batch) <= limit:
                return batch
        needed_mib = math.ceil(self._peak_bytes(1) / 2**20)
        raise errors.OutOfMemory(
            f"this image takes {needed_mib} MiB to compute, this replica grants {limit >> 20} MiB"
        )

    def _peak_bytes(self, batch: int) -> int:
        """While computing: the output, planes that passes read and write, bled colours, a batch. After that:
        the output and what encoding it takes."""
        channels = int(self._image.shape[2])
        output = self._input_pixels * self.factor**2 * channels
        bled = self._input_pixels * 3 if self._translucent else 0
        bleeding = self._input_pixels * transparency.BYTES_PER_PIXEL if self._translucent else 0
        passes = [
            self._plane_bytes(number)
            + self._plane_bytes(number + 1)
            + batch * self._backend.tile_bytes(tiles.height, tiles.width)
            for number, tiles in enumerate(self._grids)
        ]
        encoding = self._input_pixels * self.factor**2 * (channels + self._encoder_pixel_bytes)
        return max(output + bled + max(*passes, bleeding), encoding)

    def _plane_bytes(self, number: int) -> int:
        """Of what pass `number` reads; the first reads the input, and the last writes the output."""
        if not 0 < number < len(self._grids):
            return 0
        return int(self._input_pixels * self._backend.factor ** (2 * number) * 3)


def _three_channels(cut: Pixels) -> Pixels:
    return cut if cut.ndim == 3 else np.broadcast_to(cut[..., None], (*cut.shape, 3))


def _grey(tiles: Tiles) -> Tiles:
    """One channel of tiles whose three were equal before a network saw them."""
    grey: Tiles = ((tiles.astype(np.uint16).sum(-1) + 1) // 3).astype(np.uint8)
    return grey

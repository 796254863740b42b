from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from deployments.tiles.grid import TileGrid, grid

sides = st.integers(1, 150)
grids = st.builds(
    grid,
    height=sides,
    width=sides,
    tile=st.integers(32, 96),
    overlap=st.integers(8, 16),
    align=st.sampled_from([1, 2, 8]),
    margin=st.sampled_from([0, 8]),
)


def picture(tiles: TileGrid, channels: tuple[int, ...] = (3,)) -> np.ndarray:
    shape = (tiles.image_height, tiles.image_width, *channels)
    return np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)


@given(grids, st.sampled_from([1, 2]))
def test_tiles_that_agree_join_to_the_whole_image(tiles: TileGrid, factor: int) -> None:
    image = picture(tiles)
    whole = image.repeat(factor, 0).repeat(factor, 1)
    joined = np.zeros_like(whole)
    for tile in tiles:
        tiles.join(joined, tile, tiles.cut(image, tile).repeat(factor, 0).repeat(factor, 1), factor)
    assert np.array_equal(joined, whole)


@given(grids)
def test_a_tiles_rim_is_not_used_where_another_tile_covers_it(tiles: TileGrid) -> None:
    """Rims hold garbage, as a network's do; nothing of it may show."""
    image = picture(tiles, ())
    joined = np.zeros_like(image)
    for tile in tiles:
        cut = tiles.cut(image, tile)
        spoilt = np.where(_rim(tiles, tile.top, tile.left), 255 - cut, cut)
        tiles.join(joined, tile, spoilt, 1)
    assert np.array_equal(joined, image)


def _rim(tiles: TileGrid, top: int, left: int) -> np.ndarray:
    rim = np.zeros((tiles.height, tiles.width), bool)
    rim[: tiles.rim if top > tiles.tops[0] else 0] = True
    rim[tiles.height - (tiles.rim if top < tiles.tops[-1] else 0) :] = True
    rim[:, : tiles.rim if left > tiles.lefts[0] else 0] = True
    rim[:, tiles.width - (tiles.rim if left < tiles.lefts[-1] else 0) :] = True
    return rim


@given(grids, st.sampled_from([1, 2, 8]))
def test_tiles_have_one_shape_and_start_in_step_with_the_windows(tiles: TileGrid, align: int) -> None:
    aligned = grid(tiles.image_height, tiles.image_width, 64, 16, align, 8)
    assert aligned.height % align == aligned.width % align == 0
    starts = {tile.top - aligned.tops[0] for tile in aligned} | {
        tile.left - aligned.lefts[0] for tile in aligned
    }
    assert all(start % align == 0 for start in starts)


@given(grids)
def test_neighbours_share_at_least_the_overlap(tiles: TileGrid) -> None:
    for starts, extent in ((tiles.tops, tiles.height), (tiles.lefts, tiles.width)):
        assert all(before + extent - after >= tiles.overlap for before, after in pairwise(starts))


def test_fades_are_smooth() -> None:
    """A dark tile beside a bright one: no step between pixels exceeds the slope of the fade."""
    tiles = grid(64, 200, 128, 32, 8, 8)
    joined = np.zeros((128, 400), np.uint8)
    for brightness, tile in zip((0, 200), tiles, strict=True):
        tiles.join(joined, tile, np.full((tiles.height * 2, tiles.width * 2), brightness, np.uint8), 2)
    steps = np.diff(joined.astype(int), axis=1)
    assert steps.min() == 0
    assert steps.max() <= -(-200 // ((32 - 2 * tiles.rim) * 2)) + 1
    assert (joined[0, 0], joined[0, -1]) == (0, 200)

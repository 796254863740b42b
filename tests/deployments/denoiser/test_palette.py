import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from deployments.denoiser import palette
from deployments.types import Pixels

BRAND = palette.parsed(("#1a73e8", "#FFFFFF", "#202124"))


def noisy(height: int, width: int, levels: int) -> Pixels:
    """A blue half and a white half, each pixel up to `levels` off."""
    pixels = np.empty((height, width, 3), np.int16)
    pixels[:, : width // 2], pixels[:, width // 2 :] = (26, 115, 232), (255, 255, 255)
    pixels += np.random.default_rng(1).integers(-levels, levels + 1, pixels.shape, np.int16)
    return np.clip(pixels, 0, 255).astype(np.uint8)


def test_parses_colours_of_either_case() -> None:
    assert BRAND.tolist() == [[26, 115, 232], [255, 255, 255], [32, 33, 36]]
    assert palette.parsed(()).shape == (0, 3)


def test_flat_areas_become_one_colour_and_edges_stay() -> None:
    pixels = noisy(70, 40, 4)
    pixels[:, 20] = (140, 185, 243)
    palette.snap(pixels, BRAND, 4)
    assert (pixels[:, :20] == BRAND[0]).all()
    assert (pixels[:, 21:] == BRAND[1]).all()
    assert (pixels[:, 20] == (140, 185, 243)).all()


@given(st.integers(0, 64), st.integers(0, 2**32 - 1))
def test_no_channel_moves_too_far_and_snapping_twice_changes_nothing(levels: int, seed: int) -> None:
    before = np.random.default_rng(seed).integers(0, 256, (9, 7, 4)).astype(np.uint8)
    colours = np.random.default_rng(seed + 1).integers(0, 256, (5, 3)).astype(np.uint8)
    after = before.copy()
    palette.snap(after, colours, levels)
    assert np.abs(after.astype(int) - before).max() <= levels
    assert np.array_equal(after[..., 3], before[..., 3])
    again = after.copy()
    palette.snap(again, colours, levels)
    assert np.array_equal(again, after)


def test_finds_the_flat_colours_of_a_picture() -> None:
    pixels = noisy(80, 80, 0)
    pixels[:4, :4] = (200, 30, 30)
    pixels[:, ::7] -= np.random.default_rng(0).integers(0, 3, (80, 12, 3)).astype(np.uint8)
    found = palette.flat_colours(pixels, 6)
    assert sorted(found.tolist()) == [[26, 115, 232], [255, 255, 255]]


def test_a_gradient_has_no_flat_colour() -> None:
    slope = np.linspace(0, 255, 300).astype(np.uint8)
    pixels = np.stack(np.broadcast_arrays(slope[:, None], slope[None, :], slope[::-1, None]), -1)
    assert len(palette.flat_colours(pixels, 6)) == 0

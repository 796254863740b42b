import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from deployments.tiles.transparency import bled_colours


@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 2**32 - 1))
def test_visible_colours_stay_and_others_lie_between_them(height: int, width: int, seed: int) -> None:
    chance = np.random.default_rng(seed)
    image = chance.integers(0, 256, (height, width, 4)).astype(np.uint8)
    image[..., 3] *= chance.random((height, width)) < 0.3
    visible = image[..., 3] > 0
    bled = bled_colours(image)
    assert np.array_equal(bled[visible], image[visible][:, :3])
    if visible.any():
        low, high = image[visible][:, :3].min(0), image[visible][:, :3].max(0)
        assert (bled >= low.astype(int) - 1).all()
        assert (bled <= high.astype(int) + 1).all()


def test_the_black_under_transparency_does_not_reach_the_edge() -> None:
    image = np.zeros((16, 16, 4), np.uint8)
    image[4:12, 4:12] = (200, 40, 90, 255)
    assert (bled_colours(image) == (200, 40, 90)).all()


def test_nothing_visible_is_black() -> None:
    assert not bled_colours(np.zeros((5, 3, 4), np.uint8)).any()

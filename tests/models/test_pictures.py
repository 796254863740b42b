import colorsys

import numpy as np
import pytest

from models.training.pictures import compose, paint
from models.training.things import PAINTS


def disc(rgb: tuple[int, int, int]) -> np.ndarray:
    picture = np.zeros((64, 64, 4), np.uint8)
    rows, columns = np.mgrid[:64, :64]
    inside = (rows - 32) ** 2 + (columns - 32) ** 2 < 24**2
    picture[inside] = (*rgb, 255)
    return picture


@pytest.mark.parametrize("word", sorted(PAINTS))
def test_paint_turns_the_dominant_hue_to_the_asked_one(word: str) -> None:
    painted = paint(disc((200, 60, 50)), PAINTS[word])
    red, green, blue = painted[32, 32, :3] / 255
    hue = colorsys.rgb_to_hsv(red, green, blue)[0] * 360
    assert abs((hue - PAINTS[word] + 180) % 360 - 180) < 4


def test_paint_leaves_greys_far_hues_and_alpha_alone() -> None:
    picture = disc((200, 60, 50))
    picture[30:34, 20:24, :3] = (128, 128, 128)
    picture[30:34, 40:44, :3] = (40, 180, 60)
    painted = paint(picture, PAINTS["blue"])
    assert painted[31, 21, :3].tolist() == [128, 128, 128]
    assert np.abs(painted[31, 41, :3].astype(int) - (40, 180, 60)).max() <= 4
    assert (painted[..., 3] == picture[..., 3]).all()


def test_compose_shows_the_background_where_the_icon_is_clear() -> None:
    rgb = compose(disc((200, 60, 50))[None], np.array([[0.0, 255.0, 127.5]]))
    assert rgb.shape == (1, 3, 64, 64)
    assert rgb[0, :, 0, 0].tolist() == [-1.0, 1.0, 0.0]
    assert np.allclose((rgb[0, :, 32, 32] + 1) * 127.5, (200, 60, 50), atol=0.01)

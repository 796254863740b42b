"""The contact sheet of the specialists holds a picture in every cell."""

import numpy as np
import pytest
from PIL import Image

from models.gallery import ENLARGED, POSTERS, SET, WORN, Row, draw, fitted, sheet, shown


def test_a_row_is_as_high_as_its_highest_picture() -> None:
    wide, tall = Image.new("RGB", (320, 160), "red"), Image.new("RGB", (100, 100), "blue")
    page = sheet([Row("Title", (("", wide), ("caption", tall)))])
    assert fitted(tall, 200).size == (200, 200)
    colours = {colour for _, colour in page.getcolors(page.width * page.height) or []}
    assert {(255, 0, 0), (0, 0, 255), (255, 255, 255)} <= colours


def test_what_is_transparent_stands_on_white() -> None:
    clear = np.zeros((2, 2, 4), np.uint8)
    assert shown(clear).getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.slow
async def test_every_specialist_draws() -> None:
    page = np.asarray(await draw())
    assert page.shape[1] == 1160
    assert len(SET) == 8
    assert len(POSTERS) == len(ENLARGED) * 2 == len(WORN) * 2 == 4
    assert page.std() > 40, "not an empty page"

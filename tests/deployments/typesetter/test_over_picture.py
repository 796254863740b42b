import numpy as np
import pytest

from deployments import images
from deployments.types import EncodedImage, Encoding, ImageFormat, Pixels, RenderRequest
from deployments.typesetter.fonts import FontLibrary
from deployments.typesetter.layout import Anchor, Kind, Layout, Line
from deployments.typesetter.model import TypesetterModel
from deployments.typesetter.over_picture import compose_over
from deployments.typesetter.scene import ink_box
from tests.deployments.typesetter.specimens import noisy_picture


def layout(text: str = "Golden Hour", **more: object) -> Layout:
    return Layout.model_validate({"kind": Kind.POSTER, "lines": (Line(text=text),), **more})


def half_calm(calm_rows: slice) -> Pixels:
    picture = noisy_picture(4, 320, 400).copy()
    picture[calm_rows] = (30, 60, 120)
    return picture


@pytest.mark.parametrize(("rows", "expected"), [(slice(0, 190), "top"), (slice(210, 400), "bottom")])
def test_words_stand_where_the_picture_is_calm(library: FontLibrary, rows: slice, expected: str) -> None:
    over = compose_over(half_calm(rows), layout(), 0, library, {})
    _, middle = ink_box(over.scene.text).center
    assert (middle < 200) is (expected == "top")


@pytest.mark.parametrize("seed", range(6))
def test_words_reach_contrast_over_noise(library: FontLibrary, seed: int) -> None:
    over = compose_over(noisy_picture(seed, 320, 400), layout(), 0, library, {})
    assert over.contrast >= 4.5


@pytest.mark.parametrize("shade", [0, 90, 128, 170, 255])
def test_words_reach_contrast_on_any_flat_shade(library: FontLibrary, shade: int) -> None:
    picture = np.full((200, 300, 3), shade, np.uint8)
    over = compose_over(picture, layout(), 0, library, {})
    assert over.contrast >= 4.5
    if shade in (0, 255):
        assert over.scrim_ratio == 0.0
        assert np.array_equal(over.picture, picture)


def test_the_picture_away_from_the_words_is_left_alone(library: FontLibrary) -> None:
    picture = noisy_picture(2, 320, 400)
    over = compose_over(picture, layout(anchor=Anchor.BOTTOM), 0, library, {})
    assert np.array_equal(over.picture[:120], picture[:120])
    assert not np.array_equal(over.picture[320:], picture[320:])


@pytest.mark.parametrize("anchor", [anchor for anchor in Anchor if anchor is not Anchor.AUTO])
def test_an_anchor_is_obeyed(library: FontLibrary, anchor: Anchor) -> None:
    for kind in (Kind.POSTER, Kind.BADGE):
        over = compose_over(
            noisy_picture(1, 400, 400), layout("Hi", anchor=anchor, kind=kind), 0, library, {}
        )
        x, y = ink_box(over.scene.text).center
        assert ("left" in anchor.value) is (x < 180)
        assert ("right" in anchor.value) is (x > 220)
        assert ("top" in anchor.value) is (y < 180)
        assert ("bottom" in anchor.value) is (y > 220)


@pytest.mark.parametrize("format_", list(ImageFormat))
async def test_a_picture_keeps_its_size_in_every_format(model: TypesetterModel, format_: ImageFormat) -> None:
    request = RenderRequest(
        "r", 'a beach "Aloha"', 64, 64, 1, image=noisy_picture(3, 150, 210), encoding=Encoding(format_)
    )
    result = await model.render(request)
    assert isinstance(result.image, EncodedImage)
    assert (result.image.width, result.image.height) == (150, 210)
    assert result.receipt.details["kind"] == "poster"
    if format_ is ImageFormat.SVG:
        assert b"data:image/png;base64," in result.image.data
    else:
        assert images.decode(result.image.data).shape == (210, 150, 3)


async def test_transparent_pictures_stay_transparent(model: TypesetterModel) -> None:
    picture = np.zeros((200, 200, 4), np.uint8)
    request = RenderRequest("r", 'badge "Hi" in the top left corner', 64, 64, 1, image=picture)
    result = await model.render(request)
    assert isinstance(result.image, np.ndarray)
    assert result.image[190, 190, 3] == 0
    assert result.image[30, 60, 3] == 255

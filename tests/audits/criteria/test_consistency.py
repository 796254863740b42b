import numpy as np
import pytest
from PIL import Image, ImageFilter

from audits.criteria.registry import criteria
from audits.criteria.subject import Subject
from tests.audits.criteria.drawn import flat, measure, picture, value, words


def _one_pixel_off(by: int) -> Image.Image:
    pixels = np.asarray(words("HELLO")).copy()
    pixels[3, 5, 1] -= by
    return Image.fromarray(pixels)


def test_equal_pictures_are_equal_in_every_way() -> None:
    pair = (words("HELLO"), words("HELLO"))
    found = [value(name, *pair) for name in ("same_pixels", "max_difference", "ssim", "flip")]
    assert found == [1, 0, pytest.approx(1), 0]


def test_one_channel_of_one_pixel_is_found() -> None:
    pair = (words("HELLO"), _one_pixel_off(7))
    assert value("max_difference", *pair) == 7
    assert value("same_pixels", *pair) == 0
    assert value("same_pixels", words("HELLO"), words("HELLO"), *pair[1:]) == 0.5


def test_the_more_blurred_the_further_away() -> None:
    clear = words("HELLO")
    soft, softer = (clear.filter(ImageFilter.GaussianBlur(radius)) for radius in (1, 3))
    assert value("ssim", clear, soft) > value("ssim", clear, softer)
    assert 0 < value("flip", clear, soft) < value("flip", clear, softer) < 1


def test_black_and_white_are_as_far_apart_as_can_be() -> None:
    pair = (flat("black"), flat("white"))
    assert value("max_difference", *pair) == 255
    assert value("flip", *pair) > 0.9
    assert value("ssim", *pair) < 0.01


def test_the_worst_repeat_counts_and_is_named() -> None:
    shown = [picture(words("HELLO")), picture(words("HELLO")), picture(_one_pixel_off(9))]
    found = measure("max_difference", Subject(shown))
    assert (found.value, found.note) == (9, "repeat 2 differs")


def test_load_is_judged_against_the_picture_made_alone() -> None:
    beside = [words("HELLO"), _one_pixel_off(4)]
    assert value("same_pixels_under_load", *beside, alone=words("HELLO")) == 0.5
    assert value("same_pixels_under_load", words("HELLO"), alone=words("HELLO")) == 1


def test_pictures_of_other_sizes_have_nothing_in_common() -> None:
    pair = (flat("red"), flat("red", (32, 32)))
    assert [value(name, *pair) for name in ("max_difference", "ssim", "flip")] == [255, 0, 1]


def test_of_a_single_picture_nothing_is_said() -> None:
    only = Subject([picture(flat("red"))])
    for name in ("same_pixels", "same_pixels_under_load", "max_difference", "ssim", "flip"):
        assert criteria()[name].measure(only) is None

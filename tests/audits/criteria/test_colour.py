import numpy as np
import pytest
from PIL import Image, ImageDraw

from audits.criteria.colour import delta_e, dominant_colours
from audits.criteria.subject import Subject
from tests.audits.criteria.drawn import flat, measure, picture, value

# Sharma, Wu, Dalal 2005, table 1: pairs in which each term of the formula matters.
SHARMA = [
    ((50.0, 2.6772, -79.7751), (50.0, 0.0, -82.7485), 2.0425),
    ((50.0, 3.1571, -77.2803), (50.0, 0.0, -82.7485), 2.8615),
    ((50.0, 2.8361, -74.0200), (50.0, 0.0, -82.7485), 3.4412),
    ((50.0, -1.3802, -84.2814), (50.0, 0.0, -82.7485), 1.0000),
    ((50.0, 0.0, 0.0), (50.0, -1.0, 2.0), 2.3669),
    ((50.0, 2.49, -0.001), (50.0, -2.49, 0.0009), 7.1792),
    ((50.0, 2.49, -0.001), (50.0, -2.49, 0.0011), 7.2195),
    ((50.0, -0.001, 2.49), (50.0, 0.0009, -2.49), 4.8045),
    ((50.0, 2.5, 0.0), (50.0, 0.0, -2.5), 4.3065),
    ((50.0, 2.5, 0.0), (73.0, 25.0, -18.0), 27.1492),
    ((50.0, 2.5, 0.0), (61.0, -5.0, 29.0), 22.8977),
    ((50.0, 2.5, 0.0), (56.0, -27.0, -3.0), 31.9030),
    ((50.0, 2.5, 0.0), (58.0, 24.0, 15.0), 19.4535),
    ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
    ((22.7233, 20.0904, -46.6940), (23.0331, 14.9730, -42.5619), 2.0373),
    ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
]


@pytest.mark.parametrize(("one", "other", "distance"), SHARMA)
def test_published_distances(one: tuple[float], other: tuple[float], distance: float) -> None:
    assert delta_e(np.array([one]), np.array([other]))[0] == pytest.approx(distance, abs=1e-4)


def _two(first: str, second: str, share: float) -> Image.Image:
    image = flat(first, (100, 100))
    ImageDraw.Draw(image).rectangle((0, 0, 99, round(share * 100) - 1), fill=second)
    return image


def test_a_palette_kept_is_no_distance() -> None:
    palette = [(0x15, 0x65, 0xC0), (255, 255, 255)]
    assert value("palette_delta_e", _two("#1565c0", "white", 0.3), palette=palette) == pytest.approx(
        0, abs=1e-9
    )


def test_the_furthest_of_the_large_colours_counts_and_is_named() -> None:
    shifted = Subject([picture(_two("#1565c0", "#d01010", 0.3))], palette=[(0x15, 0x65, 0xC0)])
    found = measure("palette_delta_e", shifted)
    assert found.value > 40
    assert found.note == "#d01010 on 30% of the picture"


def test_a_known_shift_of_lightness() -> None:
    # Greys of L* 50.03 and 53.19 differ in lightness alone.
    assert value("palette_delta_e", flat("#7f7f7f"), palette=[(0x77, 0x77, 0x77)]) == pytest.approx(
        3.1, abs=0.15
    )


def test_specks_are_no_dominant_colour() -> None:
    assert value("palette_delta_e", _two("#ffffff", "#d01010", 0.02), palette=[(255, 255, 255)]) == 0
    assert len(dominant_colours(picture(_two("#ffffff", "#d01010", 0.3)))) == 2


def test_variety_in_bits() -> None:
    assert value("colour_variety", flat("red")) == 0
    assert value("colour_variety", _two("red", "blue", 0.5)) == pytest.approx(1)
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8))
    assert value("colour_variety", noise) > 9

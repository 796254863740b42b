import pytest
from PIL import Image, ImageDraw, ImageFilter

from tests.audits.criteria.drawn import flat, value


def _disc(blur_px: float = 0, inset: int = 16) -> Image.Image:
    alpha = Image.new("L", (96, 96), 0)
    ImageDraw.Draw(alpha).ellipse((inset, inset, 95 - inset, 95 - inset), fill=255)
    image = Image.new("RGBA", (96, 96), "navy")
    image.putalpha(alpha.filter(ImageFilter.GaussianBlur(blur_px)))
    return image


def test_without_alpha_nothing_is_transparent() -> None:
    assert value("transparent", flat("white")) == 0
    assert value("transparent", Image.new("RGBA", (8, 8), (0, 0, 0, 255))) == 0
    assert value("transparent", Image.new("RGBA", (8, 8), (0, 0, 0, 0))) == 1


def test_an_edge_is_no_haze_and_a_glow_is() -> None:
    assert value("alpha_haze", _disc()) == 0
    assert value("alpha_haze", _disc(0.5)) == 0
    assert value("alpha_haze", _disc(5)) > 0.1
    assert value("alpha_haze", Image.new("RGBA", (8, 8), (0, 0, 0, 128))) == 1


def test_what_touches_the_border_is_cut_off() -> None:
    assert value("cut_off", _disc()) == 0
    assert value("cut_off", _disc(inset=-10)) > 0.3


def test_without_alpha_the_border_is_compared_with_itself() -> None:
    image = flat("white", (40, 40))
    assert value("cut_off", image) == 0
    ImageDraw.Draw(image).rectangle((0, 0, 39, 0), fill="black")
    assert 0 < value("cut_off", image) < 0.5


@pytest.mark.parametrize(("blur_px", "least", "most"), [(0, 0.99, 1), (1, 0.3, 0.6), (4, 0, 0.3)])
def test_sharpness_falls_with_blur(blur_px: float, least: float, most: float) -> None:
    image = flat("white", (96, 96))
    ImageDraw.Draw(image).rectangle((30, 30, 65, 65), fill="black")
    assert least <= value("edge_sharpness", image.filter(ImageFilter.GaussianBlur(blur_px))) <= most


def test_without_edges_nothing_is_sharp() -> None:
    assert value("edge_sharpness", flat("red")) == 0

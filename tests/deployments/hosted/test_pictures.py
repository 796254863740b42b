import io

import numpy as np
import pytest
from PIL import Image

from deployments.errors import ModelFailed
from deployments.hosted.pictures import decode, fitted
from tests.deployments.hosted.standin import painting


def test_the_size_that_was_asked_for() -> None:
    wide = np.zeros((736, 1312, 3), np.uint8)
    assert fitted(wide, 640, 360).shape == (360, 640, 3)
    assert fitted(wide, 1312, 736) is wide


def test_nothing_is_stretched() -> None:
    """A circle stays one: what is over is cut off, evenly."""
    image = np.zeros((100, 202, 3), np.uint8)
    image[:, :1] = image[:, -1:] = 255
    assert fitted(image, 200, 100).max() == 0


def test_transparent_colours_do_not_bleed() -> None:
    image = np.zeros((64, 64, 4), np.uint8)
    image[:, :32] = (255, 0, 0, 255)
    image[:, 32:] = (0, 255, 0, 0)  # green that nobody sees
    small = fitted(image, 16, 16)
    assert small[..., 1].max() == 0


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_files_of_providers(kind: str) -> None:
    target = io.BytesIO()
    Image.new("RGB", (32, 16), (10, 20, 30)).save(target, kind)
    assert decode(target.getvalue(), 1 << 20).shape == (16, 32, 3)


@pytest.mark.parametrize(
    "data",
    [b"", b"<html>", painting("x", 64, 64)[:-40], b"GIF89a" + bytes(50), b"<svg xmlns='x'/>"],
)
def test_what_is_no_sound_image(data: bytes) -> None:
    with pytest.raises(ModelFailed, match="the provider's image"):
        decode(data, 1 << 20)


def test_what_is_too_large() -> None:
    with pytest.raises(ModelFailed, match="at most 100 are accepted"):
        decode(painting("x", 64, 64), 100)

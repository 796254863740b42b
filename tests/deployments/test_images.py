import io

import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from deployments import images
from deployments.types import Encoding, ImageFormat, Pixels

shapes = st.tuples(st.integers(1, 12), st.integers(1, 12), st.sampled_from([3, 4]))
pictures = shapes.flatmap(lambda shape: arrays.arrays(np.uint8, shape))


@settings(max_examples=50, deadline=None)
@given(pictures)
def test_png_keeps_every_pixel_and_the_same_pixels_give_the_same_bytes(pixels: Pixels) -> None:
    encoding = Encoding(ImageFormat.PNG, transparent=True)
    encoded = images.encode(pixels, encoding)
    assert np.array_equal(images.decode(encoded.data), pixels)
    assert images.encode(pixels.copy(), encoding) == encoded
    assert (encoded.height, encoded.width) == pixels.shape[:2]


@settings(max_examples=50, deadline=None)
@given(pictures)
def test_flattening_keeps_opaque_pixels_and_whitens_clear_ones(pixels: Pixels) -> None:
    flat = images.flatten(pixels)
    assert flat.shape[2] == 3
    if pixels.shape[2] == 4:
        opaque, clear = pixels[..., 3] == 255, pixels[..., 3] == 0
        assert np.array_equal(flat[opaque], pixels[opaque][:, :3])
        assert (flat[clear] == 255).all()


@pytest.mark.parametrize("image_format", [ImageFormat.JPEG, ImageFormat.WEBP, ImageFormat.PNG])
def test_without_transparency_no_alpha_is_written(image_format: ImageFormat) -> None:
    pixels = np.zeros((4, 4, 4), np.uint8)
    with Image.open(io.BytesIO(images.encode(pixels, Encoding(image_format)).data)) as image:
        assert "A" not in image.getbands()
        assert min(image.convert("RGB").getpixel((0, 0))) >= 250  # type: ignore[arg-type, type-var]


def test_pixels_cannot_become_vectors() -> None:
    with pytest.raises(ValueError, match="svg"):
        images.encode(np.zeros((2, 2, 3), np.uint8), Encoding(ImageFormat.SVG))


def test_the_hash_is_of_the_pixels_row_by_row() -> None:
    pixels = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    assert images.sha256(pixels) == images.sha256(pixels.copy(order="F"))
    assert images.sha256(pixels) != images.sha256(pixels[::-1])

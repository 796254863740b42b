"""Pixels to files and back. Knows formats; knows nothing of models."""

import hashlib
import io

import numpy as np
from PIL import Image

from deployments.types import EncodedImage, Encoding, ImageFormat, Pixels


def encode(pixels: Pixels, encoding: Encoding) -> EncodedImage:
    """The same pixels and encoding give the same bytes (no timestamps are written).

    Raises ValueError for SVG: pixels cannot become vectors.
    """
    if encoding.format is ImageFormat.SVG:
        raise ValueError("pixels cannot be written as svg: choose png, jpeg or webp")
    keeps_alpha = encoding.transparent and encoding.format is not ImageFormat.JPEG
    image = Image.fromarray(pixels if keeps_alpha else flatten(pixels))
    target = io.BytesIO()
    match encoding.format:
        case ImageFormat.PNG:
            image.save(target, "PNG", compress_level=4)
        case ImageFormat.JPEG:
            image.save(target, "JPEG", quality=encoding.quality, subsampling=0)
        case ImageFormat.WEBP:
            image.save(target, "WEBP", quality=encoding.quality, lossless=encoding.quality == 100, method=2)
    height, width = pixels.shape[:2]
    return EncodedImage(target.getvalue(), encoding.format, width, height)


def decode(data: bytes) -> Pixels:
    """RGB or RGBA pixels of trusted bytes (an asset of ours, a model's answer)."""
    with Image.open(io.BytesIO(data)) as image:
        has_alpha = "A" in image.getbands() or "transparency" in image.info
        return np.ascontiguousarray(image.convert("RGBA" if has_alpha else "RGB"))


def flatten(pixels: Pixels, background: tuple[int, int, int] = (255, 255, 255)) -> Pixels:
    """RGB pixels: alpha composited onto `background`, rounded to nearest."""
    if pixels.shape[2] == 3:
        return pixels
    alpha = pixels[..., 3:].astype(np.uint32)
    colour = pixels[..., :3].astype(np.uint32) * alpha + np.array(background, np.uint32) * (255 - alpha)
    return ((colour + 127) // 255).astype(np.uint8)


def sha256(pixels: Pixels) -> str:
    """Of the raw bytes, row by row: what receipts promise to reproduce."""
    return hashlib.sha256(np.ascontiguousarray(pixels).data).hexdigest()

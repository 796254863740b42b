"""Baked images that answer when every model has failed."""

import asyncio
import functools
from pathlib import Path

import numpy as np
from PIL import Image

from deployments import images
from deployments.types import EncodedImage, Encoding, ImageFormat, Pixels
from serve.errors import ApiError


class RasterLibrary:
    """Assets by path, relative to `folder` (that of the policy file)."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or Path()
        self._pixels = functools.lru_cache(maxsize=64)(self._load)

    async def image(
        self, path: str, width: int | None, height: int | None, encoding: Encoding
    ) -> EncodedImage:
        """The asset, fitted whole into the asked size and centred. Raises ApiError if it cannot be read."""
        return await asyncio.to_thread(self._image, path, width, height, encoding)

    def _image(self, path: str, width: int | None, height: int | None, encoding: Encoding) -> EncodedImage:
        pixels = self._pixels(path)
        if width is not None and height is not None:
            pixels = _fitted(pixels, width, height)
        if encoding.format is ImageFormat.SVG:
            encoding = Encoding(ImageFormat.PNG, transparent=encoding.transparent)
        return images.encode(pixels, encoding)

    def _load(self, path: str) -> Pixels:
        try:
            return images.decode((self._folder / path).read_bytes())
        except (OSError, ValueError):
            raise ApiError(
                500, "raster_unreadable", "the baked asset of this route cannot be read", "server_error"
            ) from None


def _fitted(pixels: Pixels, width: int, height: int) -> Pixels:
    image = Image.fromarray(pixels).convert("RGBA")
    scale = min(width / image.width, height / image.height)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    canvas = Image.new("RGBA", (width, height), (255, 255, 255, 0))
    canvas.paste(
        image.resize(size, Image.Resampling.LANCZOS), ((width - size[0]) // 2, (height - size[1]) // 2)
    )
    return np.ascontiguousarray(canvas)

"""A provider's file becomes the image that was asked for. Files are checked like those of any stranger."""

import numpy as np
from PIL import Image, ImageOps

from deployments import uploads
from deployments.errors import InvalidRequest, ModelFailed
from deployments.types import Pixels

_MAX_PIXELS = 4096 * 4096


def decode(data: bytes, max_bytes: int) -> Pixels:
    """Raises ModelFailed for a file that is no sound image."""
    limits = uploads.UploadLimits(max_bytes=max_bytes, max_pixels=_MAX_PIXELS)
    try:
        return uploads.decode_image(data, "the provider's image", limits)
    except InvalidRequest as error:
        problem, _, _advice = error.message.partition(":")  # advice for somebody who uploads
        raise ModelFailed(problem) from None


def fitted(pixels: Pixels, width: int, height: int) -> Pixels:
    """Scaled to cover width x height, and what is over cut off evenly. Lanczos; alpha weighs colours."""
    if pixels.shape[:2] == (height, width):
        return pixels
    image = Image.fromarray(pixels)
    if image.mode == "RGBA":
        image = image.convert("RGBa")
    image = ImageOps.fit(image, (width, height), Image.Resampling.LANCZOS)
    return np.array(image.convert("RGBA" if image.mode == "RGBa" else "RGB"))

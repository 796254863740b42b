"""Checks image files that strangers sent, and decodes those that pass.

The type comes from the content, never from a name or a header. What the container says (containers/) is
checked before a decoder allocates pixels. Knows nothing of HTTP.
"""

import io
import struct
import zlib

import numpy as np
from PIL import Image, ImageOps

from deployments.containers.checked import Checked, Refused, UploadLimits
from deployments.containers.reading import read_container
from deployments.errors import InvalidRequest
from deployments.types import Mask, Pixels

__all__ = ["Checked", "UploadLimits", "check", "decode_image", "decode_mask", "decode_pair"]


def decode_image(data: bytes, param: str = "image", limits: UploadLimits | None = None) -> Pixels:
    """RGB or RGBA pixels, turned upright as EXIF says. Raises InvalidRequest naming `param`."""
    return _decoded(check(data, param, limits), param)


def decode_mask(
    data: bytes, width: int, height: int, param: str = "mask", limits: UploadLimits | None = None
) -> Mask:
    """255 where the file is transparent, 0 where it is opaque, as OpenAI's `mask` says what to edit.

    Raises InvalidRequest for a file without transparency, or of another size than the image.
    """
    checked = check(data, param, limits)
    if (checked.width, checked.height) != (width, height):
        found = f"{checked.width}x{checked.height}"
        raise InvalidRequest(
            f"{param} is {found}, but the image is {width}x{height}: send equal sizes", param
        )
    pixels = _decoded(checked, param)
    if pixels.shape[2] == 3:
        raise InvalidRequest(f"{param} has no transparency: make transparent what is to change", param)
    return 255 - pixels[..., 3]


def decode_pair(image: bytes, mask: bytes | None) -> tuple[Pixels, Mask | None]:
    """A picture and the mask that came with it. Raises InvalidRequest naming `image` or `mask`."""
    pixels = decode_image(image)
    height, width = pixels.shape[:2]
    return pixels, None if mask is None else decode_mask(mask, width, height)


def check(data: bytes, param: str = "image", limits: UploadLimits | None = None) -> Checked:
    """Reads the container only. Raises InvalidRequest naming `param`."""
    limits = limits or UploadLimits()
    try:
        if len(data) > limits.max_bytes:
            raise Refused(f"has {len(data)} bytes; at most {limits.max_bytes} are accepted")
        return read_container(data, limits)
    except Refused as refused:
        raise InvalidRequest(f"{param} {refused}", param) from None
    except (struct.error, IndexError, zlib.error):
        raise InvalidRequest(f"{param} is damaged or cut off", param) from None


def _decoded(checked: Checked, param: str) -> Pixels:
    try:
        with Image.open(io.BytesIO(checked.decodable), formats=[checked.format.value.upper()]) as image:
            if image.size != (checked.width, checked.height):
                raise ValueError("the decoder reads another size than was checked")
            upright = ImageOps.exif_transpose(image)
            has_alpha = "A" in upright.getbands() or "transparency" in upright.info
            return np.array(upright.convert("RGBA" if has_alpha else "RGB"))
    except Exception:  # A decoder fed by strangers raises whatever it likes; all of it means the same.
        pass
    # Raised here, not there: as context, the decoder's error would hold its pixels as long as this one lives.
    raise InvalidRequest(f"{param} is damaged: its pixels cannot be decoded", param)

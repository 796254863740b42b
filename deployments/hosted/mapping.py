"""What all adapters share: refusing what a provider has no field for, writing sizes and pictures."""

import io

import numpy as np
from PIL import Image

from deployments.errors import InvalidRequest, Unsupported
from deployments.hosted.spec import HostedSpec
from deployments.types import ImageFormat, Mask, Pixels, RenderRequest

MAX_PROMPT_CHARS = 4000
"""Of a rewritten prompt in a receipt."""

# Fields of a request, as callers write them, that only some providers have.
STEPS = "steps"
GUIDANCE = "guidance_scale"
NEGATIVE_PROMPT = "negative_prompt"
TRANSPARENCY = "background"
STRENGTH = "strength"
LORA = "lora"


def refuse_unknown(request: RenderRequest, provider: str, known: frozenset[str]) -> None:
    """Raises Unsupported for the first thing asked for that is not among `known`. A seed is never refused:
    every request has one, and the receipt says whether it counted."""
    asked = {
        STEPS: request.steps is not None,
        GUIDANCE: request.guidance_scale is not None,
        NEGATIVE_PROMPT: bool(request.negative_prompt),
        STRENGTH: request.strength is not None,
        LORA: request.lora is not None,
        "layout": "layout" in request.options,
        TRANSPARENCY: request.encoding is not None and request.encoding.transparent,
        "output_format": request.encoding is not None and request.encoding.format is ImageFormat.SVG,
    }
    for name, is_asked in asked.items():
        if is_asked and name not in known:
            raise Unsupported(f"{provider} has nothing that corresponds to {name}", name)


def sent_size(request: RenderRequest, spec: HostedSpec, provider: str) -> str:
    value = spec.sizes.sent(request.width, request.height)
    if value is None:
        problem = spec.size_problem(request.width, request.height)
        raise Unsupported(f"{provider} {problem}", "size")
    return value


def checked_prompt(request: RenderRequest, provider: str, max_chars: int) -> str:
    if len(request.prompt) > max_chars:
        said = f"the prompt has {len(request.prompt)} characters; {provider} takes {max_chars}"
        raise Unsupported(said, "prompt")
    return request.prompt


def png(pixels: Pixels) -> bytes:
    target = io.BytesIO()
    Image.fromarray(pixels).save(target, "PNG", compress_level=4)
    return target.getvalue()


def checked_mask(request: RenderRequest) -> Mask | None:
    """Raises InvalidRequest for a mask of another size than the image."""
    mask, image = request.mask, request.image
    if mask is not None and (image is None or mask.shape != image.shape[:2]):
        raise InvalidRequest("the mask and the image have different sizes", "mask")
    return mask


def transparent_where(mask: Mask) -> bytes:
    """PNG: transparent where the image may change, as OpenAI wants it."""
    pixels = np.zeros((*mask.shape, 4), np.uint8)
    pixels[..., 3] = 255 - mask
    return png(pixels)


def black_where(mask: Mask) -> bytes:
    """PNG: black where the image may change, white elsewhere, as Ideogram wants it."""
    return png(np.where(mask >= 128, np.uint8(0), np.uint8(255)))

"""What a caller asked for, checked: the input of dispatch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from deployments.types import EncodedImage, Encoding, Mask, Pixels
from routing.types import AssetRequest
from serve.schemas import Receipt


@dataclass(frozen=True, slots=True)
class ImageJob:
    """One image per seed. `arrived_s` is monotonic: the budget counts from there. `partial_images` is how
    many previews are wanted, 0..3."""

    request_id: str
    arrived_s: float
    asset: AssetRequest
    seeds: tuple[int, ...]
    encoding: Encoding = field(default_factory=Encoding)
    guidance_scale: float | None = None
    negative_prompt: str = ""
    lora: str | None = None
    partial_images: int = 0
    image: Pixels | None = None
    mask: Mask | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    images: tuple[EncodedImage, ...]
    receipt: Receipt

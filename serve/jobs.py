"""What a caller asked for, checked: the input of dispatch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from deployments.provenance.mark import Metadata
from deployments.types import EncodedImage, Encoding, Mask, Pixels
from routing.types import AssetRequest
from serve.schemas import Receipt


class CacheUse(StrEnum):
    """What the caller's Cache-Control allows: a kept image, a new one that is kept, or nothing of that."""

    REUSE = "reuse"
    REFRESH = "refresh"
    NONE = "none"

    @classmethod
    def of(cls, cache_control: str) -> "CacheUse":
        """From the request's header, as in RFC 9111; directives without a meaning here are passed over."""
        directives = {each.split("=")[0].strip().lower() for each in cache_control.split(",")}
        if "no-store" in directives:
            return cls.NONE
        return cls.REFRESH if "no-cache" in directives else cls.REUSE


@dataclass(frozen=True, slots=True)
class ImageJob:
    """One image per seed; `seed_given` says that the caller chose them. `arrived_s` is monotonic: the budget
    counts from there. `partial_images` is how many previews are wanted, 0..3."""

    request_id: str
    arrived_s: float
    asset: AssetRequest
    seeds: tuple[int, ...]
    encoding: Encoding = field(default_factory=Encoding)
    guidance_scale: float | None = None
    negative_prompt: str = ""
    lora: str | None = None
    strength: float | None = None
    partial_images: int = 0
    seed_given: bool = True
    cache: CacheUse = CacheUse.REUSE
    image: Pixels | None = None
    mask: Mask | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    metadata: Metadata | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    images: tuple[EncodedImage, ...]
    receipt: Receipt

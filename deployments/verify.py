"""Says whether a render made again has the pixels of its receipt, and whether it had to.

What is promised: a render with `deterministic`, or one whose every step ran alone, gives the same pixels
on the same kind of device, with the same weights, dtype, scheduler and libraries. What is not: other
hardware, other versions, and renders that shared their steps may differ in the last bits, one level of 255
as a rule; a provider's model promises nothing. Knows no kind of model.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from deployments.model import Model
from deployments.types import Mask, Pixels, RenderRequest, StageReceipt

_SAME_GROUND = ("device", "dtype", "pipeline", "scheduler", "libraries", "backend", "torch", "pillow")
"""Details of a receipt that must agree for the pixels to have to."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`same`: the pixels agree. `promised`: they had to; `doubts` says why not, empty if so."""

    same: bool
    doubts: tuple[str, ...]
    again: StageReceipt

    @property
    def promised(self) -> bool:
        return not self.doubts


def inputs_sha256(
    prompt: str, negative_prompt: str, image: Pixels | None = None, mask: Mask | None = None
) -> str:
    """Digest of what a receipt does not show: words and pictures. Tells a wrong input from other pixels."""
    pictures = [None if each is None else _picture_sha256(each) for each in (image, mask)]
    return hashlib.sha256(json.dumps([prompt, negative_prompt, *pictures]).encode()).hexdigest()


async def verify(model: Model, request: RenderRequest, receipt: StageReceipt) -> Verdict:
    """`model` is loaded, `request` the one that led to `receipt`. Takes as long as a render."""
    result = await model.render(replace(request, partial_images=0, deadline_unix_s=None))
    return compare(receipt, result.receipt)


def compare(before: StageReceipt, again: StageReceipt) -> Verdict:
    """`again` is of a render of the same request; `made_of_other_inputs` tells if it was not."""
    same = before.pixels_sha256 is not None and before.pixels_sha256 == again.pixels_sha256
    return Verdict(same, tuple(_doubts(before, again)), again)


def made_of_other_inputs(before: StageReceipt, again: StageReceipt) -> bool:
    """Whether the digests of prompt and pictures say that two different things were rendered."""
    then, now = before.details.get("inputs_sha256"), again.details.get("inputs_sha256")
    return then is not None and now is not None and then != now


def _doubts(before: StageReceipt, again: StageReceipt) -> Iterator[str]:
    if "provider" in before.details:
        yield f"{before.details['provider']} made it, which promises no pixels"
    if before.pixels_sha256 is None:
        yield "its receipt has no digest of the pixels"
    if before.revision != again.revision:
        yield f"other weights: {before.revision} then, {again.revision} now"
    for name in _SAME_GROUND:
        then, now = before.details.get(name), again.details.get(name)
        if then != now:
            yield f"other {name}: {_shown(then)} then, {_shown(now)} now"
    for when, details in (("then", before.details), ("now", again.details)):
        if not _stands_alone(details):
            yield f"{when} it shared its steps with other requests and was not deterministic"
    then, now = (each.details.get("steps_by_batch_size") for each in (before, again))
    padded = before.details.get("deterministic") and again.details.get("deterministic")
    if padded and then and now and set(then) != set(now):
        yield f"other width of deterministic batches: {', '.join(then)} then, {', '.join(now)} now"


def _stands_alone(details: Mapping[str, Any]) -> bool:
    sizes = details.get("steps_by_batch_size")
    return not sizes or bool(details.get("deterministic")) or set(sizes) == {"1"}


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return " ".join(f"{name} {each}" for name, each in value.items())
    return "unknown" if value is None else str(value)


def _picture_sha256(picture: Pixels | Mask) -> str:
    digest = hashlib.sha256(repr(picture.shape).encode())
    digest.update(np.ascontiguousarray(picture).data)
    return digest.hexdigest()

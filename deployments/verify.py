"""Renders a request again and says whether the pixels are those of its receipt, and whether they had to be.

What is promised: a render with `deterministic`, or one whose every step ran alone, gives the same pixels
on the same device, with the same weights and the same libraries. What is not: other hardware, other
versions of torch, and renders that shared their steps may differ in the last bits, one level of 255 as a
rule. Knows no kind of model.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from deployments.model import Model
from deployments.types import RenderRequest, StageReceipt

_SAME_GROUND = ("device", "dtype", "scheduler", "libraries")


@dataclass(frozen=True, slots=True)
class Verdict:
    """`same`: the pixels agree. `promised`: they had to; `doubts` says why not, empty if so."""

    same: bool
    doubts: tuple[str, ...]
    again: StageReceipt

    @property
    def promised(self) -> bool:
        return not self.doubts


async def verify(model: Model, request: RenderRequest, receipt: StageReceipt) -> Verdict:
    """`model` is loaded, `request` the one that led to `receipt`. Takes as long as a render."""
    result = await model.render(replace(request, encoding=None, partial_images=0, deadline_unix_s=None))
    again = result.receipt
    return Verdict(again.pixels_sha256 == receipt.pixels_sha256, tuple(_doubts(receipt, again)), again)


def _doubts(before: StageReceipt, again: StageReceipt) -> list[str]:
    doubts = []
    if before.revision != again.revision:
        doubts.append(f"other weights: {before.revision} then, {again.revision} now")
    for name in _SAME_GROUND:
        then, now = before.details.get(name), again.details.get(name)
        if then != now:
            doubts.append(f"other {name}: {then} then, {now} now")
    if not _stands_alone(before.details):
        doubts.append("it shared its steps with other requests and was not deterministic")
    return doubts


def _stands_alone(details: Mapping[str, Any]) -> bool:
    sizes = details.get("steps_by_batch_size")
    return sizes is None or bool(details.get("deterministic")) or set(sizes) == {"1"}

"""Writes into the files of an answer how they came to be, as much of it as the config or the caller wants.

Done when the answer is put together: images that are kept for other requests stay plain. Says by IPTC's terms
what kind of picture it is, from the models that made it.
"""

import asyncio
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Any

from deployments.catalog import ModelSpec
from deployments.denoiser.spec import DenoiserSpec
from deployments.fakes import EchoSpec
from deployments.provenance import files
from deployments.provenance.mark import Mark, Metadata, SourceType
from deployments.types import EncodedImage
from deployments.typesetter.spec import TypesetterSpec
from deployments.upscaler.spec import UpscalerSpec
from serve.config import AppConfig
from serve.jobs import Answer, ImageJob
from serve.schemas import ImageEntry, Receipt, StageEntry

_LARGE_BYTES = 1 << 20
_OF_THE_ANSWER = {"policy_version", "route"}
_OF_THE_IMAGE = {"seed", "model", "generated", "rung", "substituted", "pixels_sha256"}
_PRIVATE_DETAILS = {"revised_prompt", "provider_request_id"}
_OF_A_STAGE = {"model", "revision", "width", "height", "seed", "steps", "pixels_sha256", "details"}


class Craft(Enum):
    """What a model does: makes a picture by generative AI, draws it by rules, or cleans or enlarges one."""

    GENERATES = auto()
    DRAWS = auto()
    ENHANCES = auto()


@dataclass(frozen=True, slots=True)
class Provenance:
    """`default`: what is written where the caller says nothing of it."""

    default: Metadata
    crafts: Mapping[str, Craft]

    @classmethod
    def of(cls, config: AppConfig) -> "Provenance":
        crafts = {name: _craft(spec) for name, spec in config.models.items()}
        return cls(config.provenance.metadata, crafts)

    async def marked(self, answer: Answer, job: ImageJob) -> Answer:
        """Large files are digested off the event loop."""
        wanted = job.metadata or self.default
        if wanted is Metadata.NONE:
            return answer
        if sum(len(image.data) for image in answer.images) < _LARGE_BYTES:
            return self._marked(answer, job, wanted)
        return await asyncio.to_thread(self._marked, answer, job, wanted)

    def _marked(self, answer: Answer, job: ImageJob, wanted: Metadata) -> Answer:
        is_edit = job.image is not None
        images = tuple(
            files.embed(image, self._mark(image, answer.receipt, entry, wanted, is_edit))
            for image, entry in zip(answer.images, answer.receipt.images, strict=True)
        )
        return replace(answer, images=images)

    def _mark(
        self, image: EncodedImage, receipt: Receipt, entry: ImageEntry, wanted: Metadata, is_edit: bool
    ) -> Mark:
        source_type = self.source_type(entry, is_edit)
        return Mark(
            receipt=published(receipt, entry, image) if wanted is Metadata.RECEIPT else None,
            source_type_uri=None if source_type is None else source_type.uri,
        )

    def source_type(self, entry: ImageEntry, is_edit: bool) -> SourceType | None:
        """None for a baked asset: who made it, and how, is not known here."""
        if not entry.generated:
            return None
        crafts = {self.crafts[stage.model] for stage in entry.stages}
        if Craft.GENERATES in crafts:
            if Craft.DRAWS in crafts:
                return SourceType.COMPOSED_WITH_GENERATED
            return SourceType.EDITED if is_edit else SourceType.GENERATED
        if Craft.DRAWS in crafts:
            return SourceType.COMPOSED if is_edit else SourceType.DRAWN
        return SourceType.ENHANCED


def published(receipt: Receipt, entry: ImageEntry, image: EncodedImage) -> str:
    """What a file tells of its making, JSON in ASCII: a receipt of one image. A picture may go to everybody,
    so times, costs, budgets, prompts and failed attempts stay in the answer; and so does what names the
    request, so that equal images are equal files. `file_sha256` is of the file without its mark."""
    made = entry.model_dump(mode="json", include=_OF_THE_IMAGE)
    made["stages"] = [_stage(stage) for stage in entry.stages]
    made["file_sha256"] = hashlib.sha256(image.data).hexdigest()
    kept = receipt.model_dump(mode="json", include=_OF_THE_ANSWER)
    return json.dumps({**kept, "images": [made]}, separators=(",", ":"))


def _stage(stage: StageEntry) -> dict[str, Any]:
    known = stage.model_dump(mode="json", include=_OF_A_STAGE)
    known["details"] = {key: value for key, value in stage.details.items() if key not in _PRIVATE_DETAILS}
    return known


def _craft(spec: ModelSpec) -> Craft:
    match spec:
        case TypesetterSpec() | EchoSpec(capability="typeset"):
            return Craft.DRAWS
        case UpscalerSpec(diffusion=None) | DenoiserSpec() | EchoSpec(capability="upscale"):
            return Craft.ENHANCES
        case _:
            return Craft.GENERATES

"""What `atelier plan` reads: GPUs, models with memory, times and load, and how full a GPU may get. YAML.

Closed schema with located errors. Knows published times by name; measured profiles are read by the caller.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from loadtests.capacity.options import Rules
from loadtests.capacity.times import ImageTimes, fitted
from routing.document import DocumentError, parse

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,62}$")]
Positive = Annotated[float, Field(gt=0)]
BatchSeconds = Annotated[dict[Annotated[int, Field(ge=1, le=256)], Positive], Field(min_length=1)]

PUBLISHED_FILE = Path(__file__).parent / "published.yaml"


class PlanError(ValueError):
    """A plan that cannot be made. One line per problem, each saying where and what."""


class Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class GpuEntry(Closed):
    """`memory_gib` may be left out where the cluster says it. `accelerator_type` is Ray's name (A100, H100,
    L4), `product` the value of the node label nvidia.com/gpu.product. `per_node`, `cpu` and `memory` are of
    a node, for the chart's worker groups."""

    memory_gib: Positive | None = None
    usd_per_hour: Annotated[float, Field(ge=0)]
    accelerator_type: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]
    product: str | None = None
    available: Annotated[int, Field(ge=0)] | None = None
    per_node: Annotated[int, Field(ge=1, le=16)] = 1
    cpu: Annotated[int, Field(ge=1, le=1024)] = 8
    memory: Annotated[str, Field(pattern=r"^[1-9][0-9]{0,8}(Mi|Gi|Ti)$")] | None = None


class TimesEntry(Closed):
    """Exactly one of `published` (a name), `batch_s` (seconds of whole images by batch size) and `profile` (a
    file of `atelier profile`, with the size and the steps that are served)."""

    published: str | None = None
    batch_s: BatchSeconds | None = None
    profile: str | None = None
    width: Annotated[int, Field(ge=1)] | None = None
    height: Annotated[int, Field(ge=1)] | None = None
    steps: Annotated[int, Field(ge=1, le=1000)] | None = None
    max_batch: Annotated[int, Field(ge=1, le=256)] | None = None

    @model_validator(mode="after")
    def _one_source(self) -> "TimesEntry":
        if sum(each is not None for each in (self.published, self.batch_s, self.profile)) != 1:
            raise ValueError("give exactly one of published, batch_s and profile")
        sized = (self.width, self.height, self.steps)
        if self.profile is not None and None in sized:
            raise ValueError("profile needs width, height and steps: what is served, not what was measured")
        if self.profile is None and sized != (None, None, None):
            raise ValueError("width, height and steps belong to a profile")
        return self


class ModelEntry(Closed):
    """`memory_gib` is a replica's peak on the GPU; it may be left out where a profile has it. `times` by the
    names under `gpus`. `images_per_s` is the load at its peak."""

    memory_gib: Positive | None = None
    images_per_s: Annotated[float, Field(gt=0)]
    max_latency_ms: Positive | None = None
    min_replicas: Annotated[int, Field(ge=1)] = 1
    times: Annotated[dict[Name, TimesEntry], Field(min_length=1)]


class PlanDocument(Closed):
    """`models` in the order of their importance: the last are left out first where GPUs do not suffice."""

    gpus: Annotated[dict[Name, GpuEntry], Field(min_length=1)]
    models: Annotated[dict[Name, ModelEntry], Field(min_length=1)]
    utilisation_ratio: Annotated[float, Field(gt=0, le=0.95)] = Rules().utilisation_ratio
    interference_ratio: Annotated[float, Field(ge=0, le=2)] = Rules().interference_ratio
    context_gib: Annotated[float, Field(ge=0)] = 0.5

    @model_validator(mode="after")
    def _known_gpus(self) -> "PlanDocument":
        for name, model in self.models.items():
            for gpu in model.times:
                if gpu not in self.gpus:
                    raise ValueError(f"models.{name}.times.{gpu}: there is no such GPU under gpus")
        return self


class Published(Closed):
    batch_s: BatchSeconds
    what: str
    source: str


@cache
def published() -> Mapping[str, Published]:
    return TypeAdapter(dict[str, Published]).validate_python(yaml.safe_load(PUBLISHED_FILE.read_bytes()))


def given_times(entry: TimesEntry, where: str) -> ImageTimes:
    """Of an entry that is no profile. Raises PlanError."""
    if entry.batch_s is not None:
        times = fitted(entry.batch_s)
    else:
        known = published()
        if entry.published is None or entry.published not in known:
            raise PlanError(
                f"{where}.published: {entry.published!r} is not known; known are {', '.join(known)}"
            )
        times = fitted(known[entry.published].batch_s)
    return limited(times, entry.max_batch)


def limited(times: ImageTimes, max_batch: int | None) -> ImageTimes:
    """What is served may be bounded further; beyond what was measured nothing is known."""
    if max_batch is None or max_batch >= times.max_batch:
        return times
    return ImageTimes(times.fixed_s, times.each_s, times.beside_s, max_batch)


def read_document(path: Path) -> PlanDocument:
    """Raises PlanError."""
    try:
        return parse_document(path.read_bytes(), str(path))
    except OSError as error:
        raise PlanError(f"{path}: cannot be read ({error.strerror})") from None


def parse_document(text: str | bytes, source: str) -> PlanDocument:
    try:
        document = parse(text, source)
    except DocumentError as error:
        raise PlanError(str(error)) from None
    try:
        return PlanDocument.model_validate(document.value)
    except ValidationError as error:
        problems = [
            document.problem_at(each["loc"], each["msg"], of_key=each["type"] == "extra_forbidden")
            for each in error.errors()
        ]
        raise PlanError("\n".join(str(problem) for problem in problems)) from None

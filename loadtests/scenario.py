"""A load test as a YAML file: what arrives when, what is asked for, and what must hold.

Closed schema: an unknown key is an error that names its line. Everything is bounded: no scenario runs
for ever. Knows nothing of HTTP or of how calls are sent.
"""

import csv
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)

from loadtests import arrivals
from loadtests.arrivals import Segment, Spacing, Times
from loadtests.slo import Objective, SloError, parse_objective
from loadtests.workload import Shot
from routing.document import DocumentError, parse

MAX_DURATION_S = 7 * 24 * 3600.0
MAX_REQUESTS = 10_000_000

Seconds = Annotated[float, Field(gt=0, le=MAX_DURATION_S)]
Rate = Annotated[float, Field(ge=0, le=100_000)]


class ScenarioError(ValueError):
    """A scenario that cannot be used. One line per problem, each with its file, line and path."""


class Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Constant(Closed):
    kind: Literal["constant"]
    rps: Rate
    duration_s: Seconds

    def segments(self) -> list[Segment]:
        return arrivals.constant(self.rps, self.duration_s)


class Ramp(Closed):
    kind: Literal["ramp"]
    start_rps: Rate
    end_rps: Rate
    duration_s: Seconds

    def segments(self) -> list[Segment]:
        return arrivals.ramp(self.start_rps, self.end_rps, self.duration_s)


class Spike(Closed):
    kind: Literal["spike"]
    base_rps: Rate
    peak_rps: Rate
    before_s: Seconds
    peak_s: Seconds
    after_s: Seconds

    def segments(self) -> list[Segment]:
        return arrivals.spike(self.base_rps, self.peak_rps, self.before_s, self.peak_s, self.after_s)


class Bursts(Closed):
    kind: Literal["bursts"]
    on_rps: Rate
    off_rps: Rate = 0.0
    on_s: Seconds
    off_s: Seconds
    duration_s: Seconds

    def segments(self) -> list[Segment]:
        return arrivals.on_off(self.on_rps, self.off_rps, self.on_s, self.off_s, self.duration_s)


class Trace(Closed):
    """Arrivals recorded in a CSV file with a header. `time_scale` 0.1 plays them ten times as fast."""

    file: str
    column: str = "arrival_s"
    time_scale: Annotated[float, Field(gt=0, le=1000)] = 1.0
    start_s: Annotated[float, Field(ge=0)] = 0.0
    duration_s: Seconds = Field(description="Of the replay, after scaling.")


Phase = Annotated[Constant | Ramp | Spike | Bursts, Field(discriminator="kind")]


class ClosedLoop(Closed):
    """So many clients that each send their next call when the last was answered. For comparison only: such
    a load slows down with the service, and hides what its callers would feel."""

    clients: Annotated[int, Field(ge=1, le=10_000)]
    duration_s: Seconds
    think_s: Annotated[float, Field(ge=0, le=3600)] = 0.0


class ShotSpec(Closed):
    name: Annotated[str, Field(min_length=1, max_length=100)]
    prompts: Annotated[tuple[str, ...], Field(min_length=1)]
    weight: Annotated[float, Field(ge=0)] = 1.0
    model: str | None = None
    size: Annotated[str, Field(pattern=r"^(auto|[1-9]\d{0,4}x[1-9]\d{0,4})$")] | None = None
    n: Annotated[int, Field(ge=1, le=10)] = 1
    quality: str | None = None
    output_format: Literal["png", "webp", "jpeg", "svg"] | None = None
    asset: str | None = None
    seeds: tuple[Annotated[int, Field(ge=0, lt=2**63)], ...] = ()
    steps: Annotated[int, Field(ge=1, le=1000)] | None = None
    max_latency_ms: Annotated[float, Field(gt=0, le=3_600_000)] | None = None
    options: dict[str, Any] = Field(default_factory=dict)

    def shot(self) -> Shot:
        return Shot(**{name: getattr(self, name) for name in type(self).model_fields})


class Bounds(Closed):
    """`timeout_s` gives a call up; `drain_s` is how long answers are awaited after the last arrival."""

    max_requests: Annotated[int, Field(ge=1, le=MAX_REQUESTS)] = 100_000
    max_in_flight: Annotated[int, Field(ge=1, le=60_000)] = 2000
    timeout_s: Annotated[float, Field(gt=0, le=3600)] = 120.0
    drain_s: Annotated[float, Field(ge=0, le=3600)] = 30.0


class Scenario(Closed):
    """`processes` share the arrivals between them. `check_images_ratio` of the answers are decoded and
    compared: size as asked, equal pixels for equal seeds."""

    name: Annotated[str, Field(min_length=1, max_length=200)] = "load test"
    seed: Annotated[int, Field(ge=0)] = 0
    spacing: Spacing = Spacing.POISSON
    arrivals: tuple[Phase, ...] = ()
    trace: Trace | None = None
    closed_loop: ClosedLoop | None = None
    shots: Annotated[tuple[ShotSpec, ...], Field(min_length=1)]
    bounds: Bounds = Bounds()
    processes: Annotated[int, Field(ge=1, le=64)] = 1
    check_images_ratio: Annotated[float, Field(ge=0, le=1)] = 1.0
    objectives: tuple[str, ...] = ()

    @field_validator("objectives")
    @classmethod
    def _readable(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        for text in texts:
            try:
                parse_objective(text)
            except SloError as error:
                raise ValueError(str(error)) from None
        return texts

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        given = [name for name in ("arrivals", "trace", "closed_loop") if getattr(self, name)]
        if len(given) != 1:
            raise ValueError(f"give exactly one of arrivals, trace and closed_loop (not {given})")
        names = [shot.name for shot in self.shots]
        if len(set(names)) != len(names):
            raise ValueError("two shots have the same name")
        if not any(shot.weight for shot in self.shots):
            raise ValueError("every shot has weight 0")
        if self.duration_s > MAX_DURATION_S:
            raise ValueError(
                f"the phases last {self.duration_s:.0f} s; a run may last {MAX_DURATION_S:.0f} s"
            )
        expected = arrivals.expected_arrivals(self.segments())
        if expected > self.bounds.max_requests:
            raise ValueError(
                f"about {expected:.0f} arrivals are more than bounds.max_requests {self.bounds.max_requests}"
            )
        return self

    @property
    def duration_s(self) -> float:
        """Of the schedule: answers may come later."""
        if self.closed_loop:
            return self.closed_loop.duration_s
        return self.trace.duration_s if self.trace else arrivals.duration_s(self.segments())

    def segments(self) -> list[Segment]:
        return [segment for phase in self.arrivals for segment in phase.segments()]

    def times(self) -> Times:
        """When the calls of an open-loop run are due. Raises ScenarioError for a trace that is of no use."""
        if self.trace:
            times = _replayed(self.trace)
        else:
            times = arrivals.schedule(self.segments(), self.spacing, self.seed)
        if len(times) > self.bounds.max_requests:
            limit = self.bounds.max_requests
            raise ScenarioError(f"{len(times)} arrivals are more than bounds.max_requests {limit}")
        return times

    def mix(self) -> list[Shot]:
        return [spec.shot() for spec in self.shots]

    def parsed_objectives(self) -> list[Objective]:
        return [parse_objective(text) for text in self.objectives]


def load_scenario(path: Path) -> Scenario:
    """Raises ScenarioError. A trace's path is relative to the scenario's folder."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ScenarioError(f"{path}: cannot be read ({error.strerror})") from None
    scenario = parse_scenario(text, str(path))
    if scenario.trace is None:
        return scenario
    trace = scenario.trace.model_copy(update={"file": str(path.parent / scenario.trace.file)})
    return scenario.model_copy(update={"trace": trace})


def parse_scenario(text: str | bytes, source: str = "scenario") -> Scenario:
    try:
        document = parse(text, source)
    except DocumentError as error:
        raise ScenarioError(str(error)) from None
    try:
        return TypeAdapter(Scenario).validate_python(document.value)
    except ValidationError as error:
        problems = [
            document.problem_at(each["loc"], each["msg"], of_key=each["type"] == "extra_forbidden")
            for each in error.errors()
        ]
        raise ScenarioError("\n".join(str(problem) for problem in problems)) from None


def _replayed(trace: Trace) -> Times:
    try:
        with Path(trace.file).open(newline="") as file:
            recorded = [float(row[trace.column]) for row in csv.DictReader(file)]
    except OSError as error:
        raise ScenarioError(f"{trace.file}: cannot be read ({error.strerror})") from None
    except (KeyError, TypeError, ValueError):
        raise ScenarioError(f"{trace.file}: no column {trace.column} of numbers") from None
    times = arrivals.replay(recorded, time_scale=trace.time_scale, start_s=trace.start_s)
    return times[np.asarray(times < trace.duration_s)]

"""An audit as a YAML file: asset types with prompts and criteria, and the candidates to run against each.

Closed schema: an unknown key is an error that names its line. Knows nothing of HTTP.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from audits.evidence import Rates
from routing.document import DocumentError, parse

MAX_ANSWERS = 100_000

Name = Annotated[str, Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9._ +-]{0,99}$")]
Colour = Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")]
Size = Annotated[str, Field(pattern=r"^[1-9]\d{0,4}x[1-9]\d{0,4}$")]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Ratio = Annotated[float, Field(ge=0, le=1)]


class AuditError(ValueError):
    """An audit that cannot be run. One line per problem, each with its file, line and path."""


class Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class PromptSpec(Closed):
    """`text` is what must be readable in the picture, `palette` the colours that it may be made of. Either
    may be missing: a criterion that needs it then says nothing of this prompt."""

    id: Name
    prompt: Annotated[str, Field(min_length=1)]
    text: Annotated[str, Field(min_length=1)] | None = None
    palette: tuple[Colour, ...] = ()
    layout: dict[str, Any] | None = None


class CriterionSpec(Closed):
    """A picture passes within `min` and `max`; without either, within the criterion's own bounds. Of a
    candidate's pictures at least `required_ratio` must pass."""

    min: float | None = None
    max: float | None = None
    required_ratio: Ratio = 1.0


class AssetSpec(Closed):
    """What is asked for. `asset` is the label that policies route by; without it, the asset type's name."""

    prompts: Annotated[tuple[PromptSpec, ...], Field(min_length=1)]
    criteria: Annotated[dict[Name, CriterionSpec], Field(min_length=1)]
    candidates: Annotated[tuple[Name, ...], Field(min_length=1)] | None = None
    asset: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    size: Size | None = None
    transparent: bool = False
    output_format: Literal["png", "webp", "jpeg"] = "png"

    @model_validator(mode="after")
    def _unique(self) -> Self:
        _no_twice([each.id for each in self.prompts], "prompts")
        return self


class CandidateSpec(Closed):
    """Who answers: a `model` (or an alias of the endpoint's policy), or `stages` of models, or whatever the
    policy routes `route_asset` to. `options` holds further keys of the request's `atelier` object."""

    model: Annotated[str, Field(min_length=1)] | None = None
    stages: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)] | None = None
    route_asset: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    steps: Annotated[int, Field(ge=1, le=1000)] | None = None
    quality: str | None = None
    options: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        given = [key for key in ("model", "stages", "route_asset") if getattr(self, key) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of model, stages and route_asset (not {given})")
        return self


class RatesSpec(Closed):
    staff_usd_per_hour: Annotated[float, Field(ge=0)] = 60.0
    gpu_usd_per_hour: Annotated[float, Field(ge=0)] = 0.0
    fix_minutes: Annotated[float, Field(ge=0)] = 10.0

    def rates(self) -> Rates:
        return Rates(**self.model_dump())


class AuditSpec(Closed):
    """Every asset type is asked of every candidate with every prompt and seed, `repeats` times, up to
    `concurrency` at once. `alone` adds one more answer to each, made while nothing else is asked for: what
    differs from it differs by load."""

    name: Name
    assets: Annotated[dict[Name, AssetSpec], Field(min_length=1)]
    candidates: Annotated[dict[Name, CandidateSpec], Field(min_length=1)]
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] = (1,)
    repeats: Annotated[int, Field(ge=1, le=100)] = 1
    alone: bool = False
    concurrency: Annotated[int, Field(ge=1, le=1000)] = 2
    budget_ms: Annotated[float, Field(gt=0, le=3_600_000)] = 60_000
    rates: RatesSpec = RatesSpec()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        _no_twice(self.seeds, "seeds")
        for asset, spec in self.assets.items():
            _no_twice(spec.candidates or (), f"candidates of {asset}")
            for name in spec.candidates or ():
                if name not in self.candidates:
                    raise ValueError(f"assets.{asset}: there is no candidate {name!r}")
        if self.answers > MAX_ANSWERS:
            raise ValueError(f"{self.answers} answers; an audit may ask for {MAX_ANSWERS}")
        return self

    @property
    def answers(self) -> int:
        """That a whole run asks for."""
        asked = sum(len(each.prompts) * len(self.candidates_of(name)) for name, each in self.assets.items())
        return asked * len(self.seeds) * (self.repeats + self.alone)

    def candidates_of(self, asset: str) -> tuple[str, ...]:
        return self.assets[asset].candidates or tuple(self.candidates)


def load_audit(path: Path) -> AuditSpec:
    """Raises AuditError."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise AuditError(f"{path}: cannot be read ({error.strerror})") from None
    return parse_audit(text, str(path))


def parse_audit(text: str | bytes, source: str = "audit") -> AuditSpec:
    """Raises AuditError."""
    try:
        document = parse(text, source)
    except DocumentError as error:
        raise AuditError(str(error)) from None
    try:
        return TypeAdapter(AuditSpec).validate_python(document.value)
    except ValidationError as error:
        problems = [
            document.problem_at(each["loc"], each["msg"], of_key=each["type"] == "extra_forbidden")
            for each in error.errors()
        ]
        raise AuditError("\n".join(str(problem) for problem in problems)) from None


def _no_twice(values: Any, what: str) -> None:
    if len(set(values)) != len(values):
        raise ValueError(f"{what}: something is listed twice")

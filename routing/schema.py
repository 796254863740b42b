"""The policy file's schema: closed pydantic models, one per mapping in the file.

Checks shapes and ranges. Whether a named model exists, and whether a chain of stages makes sense, is
checked in compiling.py, which knows the models.
"""

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

Pattern = Annotated[
    str, Field(min_length=1, max_length=4096, description="RE2 syntax; found anywhere in the text")
]
_NAME_CHARS, _PATH_CHARS = 128, 1024
Name = Annotated[str, Field(min_length=1, max_length=_NAME_CHARS)]
Milliseconds = Annotated[float, Field(gt=0, le=3_600_000)]
Steps = Annotated[int, Field(ge=1, le=1000)]


def _one_or_more(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Names = Annotated[
    tuple[Name, ...],
    BeforeValidator(_one_or_more, json_schema_input_type=Name | list[Name]),
    Field(min_length=1, description="one, or a list of which any will do"),
]
Size = Annotated[str, Field(pattern=r"^([1-9][0-9]{0,4}x[1-9][0-9]{0,4}|auto)$")]
Sizes = Annotated[
    tuple[Size, ...],
    BeforeValidator(_one_or_more, json_schema_input_type=Size | list[Size]),
    Field(min_length=1, description="WIDTHxHEIGHT, or auto for a request that names none"),
]


class Closed(BaseModel):
    """An unknown key is an error. Strict: a number in quotes is text, and `yes` is no number."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Match(Closed):
    """Every condition that is given must hold. `asset` and `prompt` are patterns, the others exact values."""

    asset: Pattern | None = None
    prompt: Pattern | None = None
    tenant: Names | None = None
    size: Sizes | None = None
    quality: Names | None = None
    needs: Literal["generate", "edit", "upscale", "typeset", "denoise"] | None = None
    priority: Literal["interactive", "batch"] | None = None
    labels: dict[Name, Names] = Field(default_factory=dict)


class StageSpec(Closed):
    """One model of a chain. Written as a model's name where nothing else is to be said."""

    model: Name
    steps: Steps | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return {"model": value} if isinstance(value, str) else value

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return _or_text(core, handler)


class RasterSpec(Closed):
    """A baked image, as a path below the folder of assets. Written as that path where nothing else is to be
    said. `typeset` is a model that sets the words a request quotes over it."""

    asset: Annotated[str, Field(min_length=1, max_length=_PATH_CHARS)]
    typeset: StageSpec | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_path(cls, value: Any) -> Any:
        return {"asset": value} if isinstance(value, str) else value

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return _or_text(core, handler, most_chars=_PATH_CHARS)


Stages = Annotated[tuple[StageSpec, ...], Field(min_length=1, max_length=8)]


class CandidateSpec(Closed):
    """What may answer: a model, or stages one after the other, or a group that is as good as any of it."""

    name: Name | None = None
    model: Name | None = None
    stages: Stages | None = None
    any_of: Annotated[tuple["CandidateSpec", ...], Field(min_length=1, max_length=16)] | None = None
    steps: Steps | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return {"model": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_kind(self) -> "CandidateSpec":
        given = [key for key in ("model", "stages", "any_of") if getattr(self, key) is not None]
        if len(given) > 1:
            raise ValueError(f"give one of model, stages and any_of, not {' and '.join(given)}")
        if self.steps is not None and self.any_of is not None:
            raise ValueError("steps belong to the members of any_of")
        if self.any_of is not None and any(member.any_of is not None for member in self.any_of):
            raise ValueError("any_of cannot hold another any_of")
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return _or_text(core, handler)


class ArmSpec(Closed):
    """One arm of an experiment. Without a model it is what the route promises anyway: the control."""

    name: Name
    weight: Annotated[float, Field(ge=0, le=1_000_000)] = 1.0
    model: Name | None = None
    stages: Stages | None = None
    steps: Steps | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> "ArmSpec":
        if self.model is not None and self.stages is not None:
            raise ValueError("give one of model and stages")
        return self


class ExperimentSpec(Closed):
    """Splits a route's requests between arms, by weight. Requests with the same key always meet the same arm.

    `sticky` names the key; a request that lacks it is split by its prompt.
    """

    name: Name
    sticky: Literal["sticky_key", "tenant", "asset", "prompt"] = "sticky_key"
    arms: Annotated[tuple[ArmSpec, ...], Field(min_length=2, max_length=16)]

    @model_validator(mode="after")
    def _weights(self) -> "ExperimentSpec":
        names = [arm.name for arm in self.arms]
        if len(set(names)) < len(names):
            raise ValueError("two arms have the same name")
        if not sum(arm.weight for arm in self.arms) > 0:
            raise ValueError("at least one arm needs a weight above 0")
        return self


class ShadowSpec(Closed):
    """A share of the route's requests also runs here; the image is dropped, the measurements stay."""

    model: Name | None = None
    stages: Stages | None = None
    steps: Steps | None = None
    share_ratio: Annotated[float, Field(gt=0, le=1)]

    @model_validator(mode="after")
    def _one_kind(self) -> "ShadowSpec":
        if (self.model is None) == (self.stages is None):
            raise ValueError("give exactly one of model and stages")
        return self


class LimitSpec(Closed):
    """What a route or a tenant may use. On a route, `per: tenant` gives every tenant its own allowance."""

    concurrency: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    requests_per_minute: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    usd_per_hour: Annotated[float, Field(gt=0)] | None = None


class RouteLimitSpec(LimitSpec):
    per: Literal["route", "tenant"] = "route"


class TenantSpec(LimitSpec):
    """`weight` is the tenant's share of a busy model, in proportion to the weights of the others waiting."""

    weight: Annotated[float, Field(gt=0, le=1000)] = 1.0


class RouteSpec(Closed):
    """Where requests go that match, and how long it may take.

    `model`, `stages` or `any_of` is what the route promises. `quality` is the ladder, best first: when it is
    given, its first entry is the promise and an entry that names no model varies the route's own.
    `normalize` is a stage that every result of the route goes through, whichever model made it.
    """

    name: Name | None = None
    pattern: Pattern | None = None
    match: Match | None = None
    model: Name | None = None
    stages: Stages | None = None
    any_of: Annotated[tuple[CandidateSpec, ...], Field(min_length=1, max_length=16)] | None = None
    steps: Steps | None = None
    max_latency_ms: Milliseconds | None = None
    quality: Annotated[tuple[CandidateSpec, ...], Field(min_length=1, max_length=16)] | None = None
    fallback: Annotated[tuple[CandidateSpec, ...], Field(max_length=16)] = ()
    fallback_on_content_refused: bool = False
    raster_fallback: RasterSpec | None = None
    deterministic: bool = False
    normalize: StageSpec | None = None
    experiment: ExperimentSpec | None = None
    shadow: ShadowSpec | None = None
    limits: RouteLimitSpec | None = None

    @model_validator(mode="after")
    def _one_promise(self) -> "RouteSpec":
        given = [key for key in ("model", "stages", "any_of") if getattr(self, key) is not None]
        if len(given) > 1:
            raise ValueError(f"give one of model, stages and any_of, not {' and '.join(given)}")
        if not given and self.quality is None:
            raise ValueError("give the route a model, stages, any_of or a quality ladder")
        if self.steps is not None and self.any_of is not None:
            raise ValueError("steps belong to the members of any_of")
        return self


class _Pointer(Closed):
    """Names a model or a route; a bare name is a model's."""

    model: Name | None = None
    route: Name | None = None
    rung: Name | Annotated[int, Field(ge=0, le=15)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return {"model": value} if isinstance(value, str) else value

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return _or_text(core, handler)


class AliasTarget(_Pointer):
    """What a client's model name stands for: a model of ours, a named route, or `model: auto`.

    `rung` starts a route's ladder lower: the name of an entry, or its index counted from 0.
    """

    @model_validator(mode="after")
    def _one_target(self) -> "AliasTarget":
        if (self.model is None) == (self.route is None):
            raise ValueError("give exactly one of model and route")
        if self.rung is not None and self.route is None:
            raise ValueError("a rung is of a route: give route instead of model")
        return self


class AliasSpec(_Pointer):
    """A client's model name. `quality` maps the request's quality to a target."""

    quality: dict[Name, AliasTarget] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _some_target(self) -> "AliasSpec":
        if self.model is not None and self.route is not None:
            raise ValueError("give one of model and route")
        if self.model is None and self.route is None and not self.quality:
            raise ValueError("give a model, a route or a quality mapping")
        if self.rung is not None and self.route is None:
            raise ValueError("a rung is of a route: give route instead of model")
        return self


class PolicySpec(Closed):
    """A policy file. Routes are tried from the top; the first that matches decides.

    The routes of `includes` (paths relative to this file) come after the file's own, in the order listed.
    A tenant that `tenants` does not name has the limits of `"*"`.
    """

    includes: Annotated[tuple[Name, ...], Field(max_length=64)] = ()
    model_routing: tuple[RouteSpec, ...] = ()
    default: RouteSpec | None = None
    aliases: dict[Name, AliasSpec] = Field(default_factory=dict)
    tenants: dict[Name, TenantSpec] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _not_empty(self) -> "PolicySpec":
        if not (self.model_routing or self.default or self.aliases or self.includes or self.tenants):
            raise ValueError("a policy needs at least one of model_routing, default, aliases and includes")
        return self


def _or_text(
    core: CoreSchema, handler: GetJsonSchemaHandler, most_chars: int = _NAME_CHARS
) -> JsonSchemaValue:
    """A mapping, or just a model's name or a path."""
    return {"anyOf": [{"type": "string", "minLength": 1, "maxLength": most_chars}, handler(core)]}

"""Expected routings: a YAML file of requests with what must become of them, run without any model.

cases:
  - name: badges are typeset
    request: {asset: ui-badge, prompt: SALE}
    expect: {route: badges, models: [typography_focused], budget_ms: 300}
  - name: a busy poster model is replaced
    request: {prompt: a poster}
    load: {creative_highfidelity: {wait_ms: 5000}}
    expect: {models: [sd_turbo], rung: 1}
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from routing.decide import PolicyEngine
from routing.document import DocumentError, parse
from routing.files import problems_of
from routing.schema import Closed, Name, Size
from routing.types import AssetRequest, Capability, Decision, ModelState, NoRoute, Snapshot, UnknownModel


class RequestSpec(Closed):
    """An AssetRequest as people write it; also one line of a request log."""

    prompt: str = ""
    asset: str | None = None
    model: str = "auto"
    tenant: str | None = None
    size: Size = "auto"
    quality: str | None = None
    n: Annotated[int, Field(ge=1, le=100)] = 1
    steps: Annotated[int, Field(ge=1, le=1000)] | None = None
    deterministic: bool = False
    needs: Literal["generate", "edit", "upscale", "typeset", "denoise"] = "generate"
    labels: dict[str, str] = Field(default_factory=dict)
    max_latency_ms: Annotated[float, Field(gt=0)] | None = None
    sticky_key: str | None = None
    priority: Literal["interactive", "batch"] = "interactive"

    def to_request(self) -> AssetRequest:
        width, height = (None, None) if self.size == "auto" else map(int, self.size.split("x"))
        own = {name: getattr(self, name) for name in type(self).model_fields if name not in ("size", "needs")}
        return AssetRequest(**own, width=width, height=height, needs=Capability(self.needs))


class LoadSpec(Closed):
    """What is assumed of a model's load; nothing given is an idle model with its priors."""

    available: bool = True
    wait_ms: Annotated[float, Field(ge=0)] = 0.0
    breaker_open: bool = False
    overhead_ms: Annotated[float, Field(ge=0)] | None = None
    step_ms: Annotated[float, Field(ge=0)] = 0.0
    step_ms_per_megapixel: Annotated[float, Field(ge=0)] = 0.0

    def to_state(self) -> ModelState:
        return ModelState(
            available=self.available,
            wait_ms=self.wait_ms,
            breaker_open=self.breaker_open,
            overhead_ms=self.overhead_ms or 0.0,
            step_ms=self.step_ms,
            step_ms_per_megapixel=self.step_ms_per_megapixel,
            observed=0 if self.overhead_ms is None else 1,
        )


class Expectation(Closed):
    """Only what is written is compared. `models` are of the first plan; `chain` has one list per plan."""

    route: str | None = None
    models: tuple[str, ...] | None = None
    chain: tuple[tuple[str, ...], ...] | None = None
    rung: int | None = None
    budget_ms: float | None = None
    steps: int | None = None
    raster: str | None = None
    arm: str | None = None
    refusal: str | None = None
    error: Literal["unknown_model", "no_route"] | None = None


class Case(Closed):
    name: Name
    request: RequestSpec
    load: dict[str, LoadSpec] = Field(default_factory=dict)
    expect: Expectation


class CaseFile(Closed):
    cases: Annotated[tuple[Case, ...], Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class CaseResult:
    """`mismatches` are sentences; none means the case passes."""

    case: Case
    mismatches: tuple[str, ...]

    @property
    def passed(self) -> bool:
        return not self.mismatches


def load_cases(text: str | bytes, source: str) -> CaseFile:
    """Raises DocumentError with located problems."""
    document = parse(text, source)
    try:
        return CaseFile.model_validate(document.value)
    except ValidationError as error:
        raise DocumentError(problems_of(document, error)) from None


def run_cases(engine: PolicyEngine, cases: CaseFile, now_s: float = 0.0) -> tuple[CaseResult, ...]:
    return tuple(CaseResult(case, tuple(_mismatches(engine, case, now_s))) for case in cases.cases)


def _mismatches(engine: PolicyEngine, case: Case, now_s: float) -> list[str]:
    unknown = sorted(set(case.load) - set(engine.models))
    if unknown:
        return [f"load names models that do not exist: {', '.join(unknown)}"]
    snapshot = Snapshot({name: load.to_state() for name, load in case.load.items()})
    try:
        actual = _facts(engine.decide(case.request.to_request(), snapshot, now_s))
    except NoRoute:
        actual = {"error": "no_route"}
    except UnknownModel:
        actual = {"error": "unknown_model"}
    expected = case.expect.model_dump(exclude_unset=True)
    found = [
        f"{name}: expected {_shown(value)}, got {_shown(actual.get(name))}"
        for name, value in expected.items()
        if actual.get(name) != value
    ]
    if actual.get("error") is not None and "error" not in expected:
        found.insert(0, f"the request is refused: {actual['error']}")
    return found


def _facts(decision: Decision) -> Mapping[str, Any]:
    first = decision.chain[0] if decision.chain else None
    return {
        "route": decision.route,
        "models": first.models if first else None,
        "chain": tuple(plan.models for plan in decision.chain),
        "rung": first.rung if first else None,
        "steps": first.stages[0].steps if first else None,
        "budget_ms": decision.budget_ms,
        "raster": decision.raster,
        "arm": decision.arm,
        "refusal": None if decision.refusal is None else decision.refusal.value,
        "error": None,
    }


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(_shown(each) for each in value) + "]"
    return "nothing" if value is None else str(value)

"""What the policy engine takes in and gives out.

Everything a decision depends on is here as a value: the request, the facts about models, what is known
of their load, and the time. Nothing here performs I/O.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Capability(StrEnum):
    """What a model can do for an image. A stage chain starts with GENERATE or EDIT."""

    GENERATE = "generate"
    EDIT = "edit"
    UPSCALE = "upscale"
    TYPESET = "typeset"
    DENOISE = "denoise"


class Outcome(StrEnum):
    """How an attempt ended."""

    OK = "ok"
    REFUSED_CAPACITY = "refused_capacity"
    REFUSED_BUDGET = "refused_budget"
    DEADLINE_EXCEEDED = "deadline_exceeded"
    OUT_OF_MEMORY = "out_of_memory"
    MODEL_ERROR = "model_error"
    MODEL_GONE = "model_gone"
    CONTENT_REFUSED = "content_refused"
    UNSUPPORTED = "unsupported"
    CANCELLED = "cancelled"


class RoutingError(ValueError):
    """A request no decision can be made for."""


class UnknownModel(RoutingError):
    """The caller asked for a model that is neither deployed nor an alias. `known` are the names that work."""

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        super().__init__(name, known)
        self.name = name
        self.known = known

    def __str__(self) -> str:
        return f"there is no model {self.name!r}; known are {', '.join(self.known)}"


class NoRoute(RoutingError):
    """No route matches and the policy has no default."""

    def __str__(self) -> str:
        return "no route of the policy matches this request, and the policy has no default route"


@dataclass(frozen=True, slots=True)
class AssetRequest:
    """What a policy may look at. `model` is what the caller asked for, "auto" when the policy decides.

    `width` and `height` are of the image the caller wants, None when the route's model may choose.
    `input_width` and `input_height` are of the image that came with an edit or an upscale, None without one.
    `vector` asks for shapes instead of pixels (SVG).
    """

    prompt: str
    asset: str | None = None
    model: str = "auto"
    tenant: str | None = None
    width: int | None = None
    height: int | None = None
    quality: str | None = None
    n: int = 1
    steps: int | None = None
    deterministic: bool = False
    needs: Capability = Capability.GENERATE
    labels: Mapping[str, str] = field(default_factory=dict)
    max_latency_ms: float | None = None
    sticky_key: str | None = None
    priority: str = "interactive"
    input_width: int | None = None
    input_height: int | None = None
    vector: bool = False


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What does not change while a model is deployed.

    `deterministic`: it can give the same pixels for the same request. `seeded`: they depend on the seed.
    `vector`: as the last stage it can answer with shapes (SVG).
    `billed_when_sent`: a call costs `usd_per_image` even if it is left before it has ended.
    `scale` is the factor by which an upscaler grows an image. `max_pixels` bounds the output; `size_problem`
    says why the model cannot make a width and height, as the end of a sentence, or None when it can.
    `prior_*` predict a model that has not been observed yet (same formula as ModelState).
    """

    name: str
    capabilities: frozenset[Capability]
    scale: int = 1
    max_pixels: int | None = None
    size_problem: Callable[[int, int], str | None] | None = None
    default_width: int = 512
    default_height: int = 512
    default_steps: int = 1
    deterministic: bool = True
    seeded: bool = True
    vector: bool = False
    usd_per_image: float = 0.0
    usd_per_gpu_s: float = 0.0
    billed_when_sent: bool = False
    prior_overhead_ms: float = 0.0
    prior_step_ms: float = 0.0
    prior_step_ms_per_megapixel: float = 0.0


@dataclass(frozen=True, slots=True)
class ModelState:
    """What is known of a model now. `observed_at_s` is on the clock that `now_s` of a decision is on.

    Predicted time of a stage that makes n images =
    `wait_ms + rounds * (overhead_ms + steps * (step_ms + step_ms_per_megapixel * width * height / 1e6))`
    with `rounds = max(1, n / parallelism)`, where `parallelism` is how many images of one request run side
    by side. While `observed` is 0 the priors of ModelFacts stand in for everything but `wait_ms`.
    Planning keeps a distance from deadlines by `error_ratio`, the root mean square of the relative errors of
    run times; by `late_ratio`, how much later than predicted nearly all calls ended at most, as a part of
    `routing.prediction.spread_ms` (None while unknown); and by `transport_ms`, the time between router and
    replica, and between the router and its caller.
    `retry_after_s` is a prediction of when a model that is unavailable, or whose breaker is open, is worth
    asking again.
    """

    available: bool = True
    wait_ms: float = 0.0
    overhead_ms: float = 0.0
    step_ms: float = 0.0
    step_ms_per_megapixel: float = 0.0
    observed: int = 0
    observed_at_s: float = 0.0
    breaker_open: bool = False
    parallelism: float = 1.0
    error_ratio: float = 0.0
    late_ratio: float | None = None
    transport_ms: float = 0.0
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything known about the models at one moment. Models that are missing are unknown: priors apply."""

    models: Mapping[str, ModelState] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PlannedStage:
    """One model call per image. `width` and `height` are of the stage's output, in pixels. `steps` None
    leaves them to the model. `predicted_ms` includes `wait_ms`, the part spent in the model's queue.
    """

    model: str
    capability: Capability
    width: int
    height: int
    steps: int | None
    predicted_ms: float
    wait_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Plan:
    """Stages that run one after the other. `rung` is 0 for what the route promises, more when downgraded."""

    stages: tuple[PlannedStage, ...]
    rung: int = 0

    @property
    def predicted_ms(self) -> float:
        return sum(stage.predicted_ms for stage in self.stages)

    @property
    def models(self) -> tuple[str, ...]:
        return tuple(stage.model for stage in self.stages)


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a candidate is not in the chain, in words a person understands."""

    models: tuple[str, ...]
    outcome: Outcome
    reason: str


@dataclass(frozen=True, slots=True)
class Limit:
    """What may run at once, start in a minute and be spent in an hour under one key; None is unlimited.

    Everything that is decided with the same key counts together.
    """

    key: str
    concurrency: int | None = None
    requests_per_minute: int | None = None
    usd_per_hour: float | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What will happen to a request. `chain` is in the order of trying; empty means refused.

    `budget_ms` is the end-to-end budget, None for unlimited. `raster` is the path of a baked image that
    answers when the chain is exhausted, `raster_words` sets the request's words over it. `asked_rung` is
    where the route's ladder starts for this request: 0, or what an alias or its quality said. `refusal` and
    `retry_after_s` are set when the chain is empty and there is no raster. `fastest_ms` is the shortest
    predicted time of any candidate that could make the image at all, whether or not it fits the budget.
    `continue_on_content_refused` says whether a provider's refusal goes to the next candidate. `arm` is the
    experiment's arm that this request fell into, `shadow` a plan to run beside it whose image is dropped.
    `limits` are what the request counts against, and `weight` is its tenant's share of a busy model, in
    proportion to the other tenants'.
    """

    policy_version: str
    route: str
    reason: str
    budget_ms: float | None
    chain: tuple[Plan, ...]
    rejected: tuple[Rejection, ...] = ()
    raster: str | None = None
    raster_words: Plan | None = None
    refusal: Outcome | None = None
    retry_after_s: float | None = None
    deterministic: bool = False
    asked_rung: int = 0
    fastest_ms: float | None = None
    continue_on_content_refused: bool = False
    experiment: str | None = None
    arm: str | None = None
    shadow: Plan | None = None
    limits: tuple[Limit, ...] = ()
    weight: float = 1.0

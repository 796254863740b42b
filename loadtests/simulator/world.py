"""What is simulated: models with their times and scaling, GPUs, and the policy between them. One YAML file.

Closed schema with located errors. Knows nothing of how a simulation runs.
"""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from deployments.engine.work import Shape
from deployments.spec import Autoscaling, ModelName, WorkScaling
from loadtests.simulator.engine import StepCosts
from routing.decide import PolicyEngine
from routing.document import DocumentError, parse
from routing.policy import PolicyError, load_policy
from routing.types import Capability, ModelFacts


class WorldError(ValueError):
    """A world that cannot be simulated. One line per problem, each with its file, line and path."""


class Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SimulatedModel(Closed):
    """A model's times. One step of b images takes `step_ms + step_ms_per_megapixel * megapixels * b`; an
    image takes `overhead_ms` besides (text encoding before, decoding after: split in halves).

    A replica starts in `cold_start_s`, drawn around that with `cold_start_spread` (standard deviation of
    its logarithm). `autoscaling` and `work_scaling` are those of a model's configuration.
    """

    capabilities: tuple[Capability, ...] = (Capability.GENERATE,)
    step_ms: Annotated[float, Field(ge=0)] = 0.0
    step_ms_per_megapixel: Annotated[float, Field(ge=0)] = 0.0
    overhead_ms: Annotated[float, Field(ge=0)] = 0.0
    max_batch: Annotated[int, Field(ge=1, le=256)] = 1
    default_steps: Annotated[int, Field(ge=1, le=1000)] = 1
    default_width: Annotated[int, Field(ge=16, le=8192)] = 512
    default_height: Annotated[int, Field(ge=16, le=8192)] = 512
    scale: Annotated[int, Field(ge=1, le=8)] = 1
    usd_per_gpu_hour: Annotated[float, Field(ge=0)] = 0.0
    num_gpus: Annotated[float, Field(ge=0)] = 0.0
    cold_start_s: Annotated[float, Field(ge=0)] = 0.0
    cold_start_spread: Annotated[float, Field(ge=0, le=2)] = 0.0
    max_ongoing_requests: Annotated[int, Field(ge=1)] = 8
    max_queued_requests: Annotated[int, Field(ge=-1)] = 64
    graceful_shutdown_timeout_s: Annotated[float, Field(ge=0)] = 60.0
    autoscaling: Autoscaling = Autoscaling()
    work_scaling: WorkScaling | None = None

    def facts(self, name: str) -> ModelFacts:
        return ModelFacts(
            name=name,
            capabilities=frozenset(self.capabilities),
            scale=self.scale,
            default_width=self.default_width,
            default_height=self.default_height,
            default_steps=self.default_steps,
            usd_per_gpu_s=self.usd_per_gpu_hour / 3600 * self.num_gpus,
            prior_overhead_ms=self.overhead_ms,
            prior_step_ms=self.step_ms,
            prior_step_ms_per_megapixel=self.step_ms_per_megapixel,
        )

    def costs(self) -> StepCosts:
        return StepCosts(
            fixed_s=self.step_ms / 1000,
            per_megapixel_s=self.step_ms_per_megapixel / 1000,
            decode_time_s=self.overhead_ms / 2000,
            max_batch=self.max_batch,
        )

    def parallelism(self) -> float:
        """How many images a replica makes in the time of one: what a full batch gains."""
        shape = Shape(self.default_width, self.default_height)
        share_s = self.costs().share_s(shape)
        return self.costs().step_s(shape, 1) / share_s if share_s else float(self.max_batch)

    def request_work_s(self) -> float:
        """Of an image of default size and steps, in full batches."""
        shape = Shape(self.default_width, self.default_height)
        return self.default_steps * self.costs().share_s(shape)


class World(Closed):
    """`gpus` are whole devices that replicas' fractions are packed on. `policy` is the text of a routing
    policy, or `policy_file` its path relative to this file; without either every request goes to the first
    model. `load_poll_interval_s` is how old the router's picture of the queues gets."""

    gpus: Annotated[float, Field(ge=0)] = 0.0
    models: Annotated[dict[ModelName, SimulatedModel], Field(min_length=1)]
    policy: str | None = None
    policy_file: str | None = None
    load_poll_interval_s: Annotated[float, Field(gt=0)] = 1.0
    control_interval_s: Annotated[float, Field(gt=0, le=60)] = 1.0

    def engine(self, source: str = "policy") -> PolicyEngine:
        """Raises PolicyError."""
        facts = {name: model.facts(name) for name, model in self.models.items()}
        text = self.policy or f"model_routing: []\ndefault:\n  model: {next(iter(self.models))}\n"
        return PolicyEngine(load_policy(text, source=source, models=facts), facts)


def load_world(path: Path) -> World:
    """Raises WorldError."""
    try:
        world = parse_world(path.read_bytes(), str(path))
        if world.policy_file is not None:
            policy = (path.parent / world.policy_file).read_text()
            world = world.model_copy(update={"policy": policy, "policy_file": None})
        world.engine(str(path))
    except OSError as error:
        raise WorldError(f"{error.filename}: cannot be read ({error.strerror})") from None
    except PolicyError as error:
        raise WorldError(str(error)) from None
    return world


def parse_world(text: str | bytes, source: str = "world") -> World:
    try:
        document = parse(text, source)
    except DocumentError as error:
        raise WorldError(str(error)) from None
    try:
        return TypeAdapter(World).validate_python(document.value)
    except ValidationError as error:
        problems = [
            document.problem_at(each["loc"], each["msg"], of_key=each["type"] == "extra_forbidden")
            for each in error.errors()
        ]
        raise WorldError("\n".join(str(problem) for problem in problems)) from None

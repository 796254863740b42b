"""Routes as planning reads them: models resolved to their facts, chains checked, ranks assigned.

`compile_route` turns a RouteSpec into a Route and reports what does not fit the models that exist. Does
not know requests or load.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from routing.document import Location
from routing.schema import ArmSpec, CandidateSpec, RouteSpec, ShadowSpec, StageSpec
from routing.types import Capability, ModelFacts

AddProblem = Callable[[Location, str], None]

# What a stage after the first does, by preference. A model that can only generate cannot follow another.
_TRANSFORMS = (Capability.UPSCALE, Capability.DENOISE, Capability.TYPESET, Capability.EDIT)


@dataclass(frozen=True, slots=True)
class Stage:
    """`capability` is None for the first stage: it does what the request needs. `scale_after` is the product
    of the factors by which the stages after this one grow the image."""

    facts: ModelFacts
    capability: Capability | None
    steps: int | None
    scale_after: int


@dataclass(frozen=True, slots=True)
class Candidate:
    """`rank` 0 is what the route promises; candidates of one rank are equally good. `in_ladder` tells the
    promise and its cheaper variants from fallbacks. `default_size` is the width and height of the image when
    nobody asks for a size."""

    stages: tuple[Stage, ...]
    models: tuple[str, ...]
    default_size: tuple[int, int]
    rank: int = 0
    name: str | None = None
    in_ladder: bool = True


@dataclass(frozen=True, slots=True)
class Arm:
    """One arm of an experiment: takes the keys whose place in [0, 1) is below `up_to` and not an earlier
    arm's. `candidates` is the whole chain with the arm's own promise at rank 0."""

    name: str
    up_to: float
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True)
class Route:
    """`candidates` are in the order of trying. `rungs` are the names of the ladder's entries, by rank.
    `raster_words` sets the words over the baked image of the route."""

    name: str
    candidates: tuple[Candidate, ...]
    rungs: tuple[str | None, ...]
    spec: RouteSpec
    arms: tuple[Arm, ...] = ()
    shadow: Candidate | None = None
    raster_words: Candidate | None = None

    @property
    def models(self) -> frozenset[str]:
        """Every model that may answer a request of the route, in any arm."""
        chains = (self.candidates, *(arm.candidates for arm in self.arms))
        return frozenset(model for chain in chains for candidate in chain for model in candidate.models)

    def rank_of(self, rung: str | int | None) -> int | None:
        """The rank a ladder entry stands on, None where the route has no such entry."""
        if isinstance(rung, int):
            return rung if rung < len(self.rungs) else None
        return self.rungs.index(rung) if rung is not None and rung in self.rungs else None


def compile_route(
    spec: RouteSpec, name: str, location: Location, models: Mapping[str, ModelFacts], add: AddProblem
) -> Route:
    """Reports every unknown model and every chain that cannot work through `add`, and leaves those out."""
    compiler = _Compiler(models, add, spec, location)
    candidates: list[Candidate] = []
    for rank, rung in enumerate(spec.quality or (None,)):
        candidates += compiler.rung(rank, rung)
    rungs = tuple(rung.name for rung in spec.quality) if spec.quality else (None,)
    for index, fallback in enumerate(spec.fallback):
        where = (*location, "fallback", index)
        candidates += compiler.ranked(_members(fallback, where), len(rungs) + index, fallback.name, False)
    return Route(
        name,
        tuple(candidates),
        rungs,
        spec,
        compiler.arms(candidates),
        compiler.candidate(_chain(spec.shadow, (*location, "shadow"))) if spec.shadow else None,
        compiler.raster_words(),
    )


def single_model_route(facts: ModelFacts, name: str, spec: RouteSpec) -> Route:
    """A route that plans this model and nothing else, on the terms of `spec`."""
    size = facts.default_width, facts.default_height
    return Route(name, (Candidate((Stage(facts, None, None, 1),), (facts.name,), size),), (None,), spec)


@dataclass(frozen=True, slots=True)
class _Chain:
    """The models of one candidate as written: (where, model, steps) of each stage."""

    stages: tuple[tuple[Location, str, int | None], ...]
    location: Location
    name: str | None = None


def _chain(
    spec: RouteSpec | CandidateSpec | ArmSpec | ShadowSpec, location: Location, steps: int | None = None
) -> _Chain:
    """Steps given for the whole candidate are those of its first stage."""
    steps = spec.steps if steps is None else steps
    name = spec.name if isinstance(spec, CandidateSpec) else None
    if spec.model is not None:
        return _Chain((((*location, "model"), spec.model, steps),), location, name)
    stages = [
        ((*location, "stages", index), stage.model, _stage_steps(stage, index, steps))
        for index, stage in enumerate(spec.stages or ())
    ]
    return _Chain(tuple(stages), location, name)


def _stage_steps(stage: StageSpec, index: int, steps: int | None) -> int | None:
    return steps if index == 0 and stage.steps is None else stage.steps


def _members(
    spec: RouteSpec | CandidateSpec, location: Location, steps: int | None = None
) -> Sequence[_Chain]:
    """The candidates of one rank: those of any_of, or the one that is written."""
    if spec.any_of is None:
        return (_chain(spec, location, steps),)
    return [_chain(each, (*location, "any_of", index), steps) for index, each in enumerate(spec.any_of)]


@dataclass(frozen=True, slots=True)
class _Compiler:
    models: Mapping[str, ModelFacts]
    add: AddProblem
    spec: RouteSpec
    location: Location

    def rung(self, rank: int, rung: CandidateSpec | None) -> list[Candidate]:
        """A ladder entry that names no model varies the route's own; None stands for that one unvaried."""
        names_models = rung is not None and (rung.model or rung.stages or rung.any_of)
        if rung is not None and names_models:
            return self.ranked(_members(rung, (*self.location, "quality", rank)), rank, rung.name, True)
        if self.spec.model is None and self.spec.stages is None and self.spec.any_of is None:
            self.add((*self.location, "quality", rank), "names no model, and the route has none to vary")
            return []
        steps, name = (rung.steps, rung.name) if rung is not None else (None, None)
        return self.ranked(_members(self.spec, self.location, steps), rank, name, True)

    def ranked(
        self, chains: Sequence[_Chain], rank: int, name: str | None, in_ladder: bool
    ) -> list[Candidate]:
        found = []
        for chain in chains:
            candidate = self.candidate(chain)
            if candidate is not None:
                label = chain.name or name
                found.append(replace(candidate, rank=rank, name=label, in_ladder=in_ladder))
        return found

    def arms(self, candidates: Sequence[Candidate]) -> tuple[Arm, ...]:
        experiment = self.spec.experiment
        if experiment is None:
            return ()
        total = sum(arm.weight for arm in experiment.arms)
        after_promise = tuple(each for each in candidates if each.rank > 0)
        arms, reached = [], 0.0
        for index, arm in enumerate(experiment.arms):
            reached += arm.weight
            if arm.model is None and arm.stages is None:
                if arm.steps is not None:
                    self.add((*self.location, "experiment", "arms", index), "steps need a model or stages")
                arms.append(Arm(arm.name, reached / total, tuple(candidates)))
                continue
            own = self.candidate(_chain(arm, (*self.location, "experiment", "arms", index)))
            if own is not None:
                arms.append(Arm(arm.name, reached / total, (replace(own, name=arm.name), *after_promise)))
        return tuple(arms)

    def raster_words(self) -> Candidate | None:
        raster = self.spec.raster_fallback
        if raster is None or raster.typeset is None:
            return None
        where, name = (*self.location, "raster_fallback", "typeset"), raster.typeset.model
        facts = self.models.get(name)
        if facts is None:
            self.add(where, unknown_model(name, self.models))
            return None
        if Capability.TYPESET not in facts.capabilities:
            self.add(where, f"{name} cannot set words over a picture")
            return None
        stage = Stage(facts, Capability.TYPESET, raster.typeset.steps, 1)
        return Candidate((stage,), (name,), (facts.default_width, facts.default_height))

    def candidate(self, chain: _Chain) -> Candidate | None:
        named = chain.stages
        if not named:
            self.add(chain.location, "give a model, stages or any_of")
            return None
        normalize = self.spec.normalize
        if normalize is not None and named[-1][1] != normalize.model:
            named = (*named, ((*self.location, "normalize"), normalize.model, normalize.steps))
        resolved: list[tuple[ModelFacts, Capability | None, int | None]] = []
        for index, (where, model, steps) in enumerate(named):
            facts = self.models.get(model)
            if facts is None:
                self.add(where, unknown_model(model, self.models))
                continue
            capability = None if index == 0 else _transform(facts)
            if index > 0 and capability is None:
                self.add(where, f"{model} makes images from nothing and cannot follow another stage")
                continue
            resolved.append((facts, capability, steps))
        if len(resolved) < len(named):
            return None
        stages, scale_after = [], 1
        for facts, capability, steps in reversed(resolved):
            stages.append(Stage(facts, capability, steps, scale_after))
            scale_after *= facts.scale if capability is Capability.UPSCALE else 1
        first, growth = resolved[0][0], stages[-1].scale_after
        return Candidate(
            tuple(reversed(stages)),
            tuple([model for _, model, _ in named]),
            (first.default_width * growth, first.default_height * growth),
        )


def unknown_model(name: str, models: Mapping[str, ModelFacts]) -> str:
    return f"there is no model {name!r}; the models are {', '.join(sorted(models)) or '(none)'}"


def _transform(facts: ModelFacts) -> Capability | None:
    return next((each for each in _TRANSFORMS if each in facts.capabilities), None)

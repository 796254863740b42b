"""Routes as planning reads them: models resolved to their facts, chains checked, ranks assigned.

`compile_route` turns a RouteSpec into a Route and reports what does not fit the models that exist. Does
not know requests or load.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from routing.document import Location
from routing.schema import CandidateSpec, RouteSpec, StageSpec
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
    promise and its cheaper variants from fallbacks."""

    stages: tuple[Stage, ...]
    rank: int
    name: str | None
    in_ladder: bool

    @property
    def models(self) -> tuple[str, ...]:
        return tuple(stage.facts.name for stage in self.stages)

    @property
    def default_size(self) -> tuple[int, int]:
        """Width and height of the image when nobody asks for a size."""
        first = self.stages[0]
        return first.facts.default_width * first.scale_after, first.facts.default_height * first.scale_after


@dataclass(frozen=True, slots=True)
class Route:
    """`candidates` are in the order of trying. `rungs` are the names of the ladder's entries, by rank."""

    name: str
    candidates: tuple[Candidate, ...]
    rungs: tuple[str | None, ...]
    spec: RouteSpec

    @property
    def models(self) -> frozenset[str]:
        return frozenset(model for candidate in self.candidates for model in candidate.models)

    def rank_of(self, rung: str | int | None) -> int | None:
        """The rank a ladder entry stands on, None where the route has no such entry."""
        if isinstance(rung, int):
            return rung if rung < len(self.rungs) else None
        return self.rungs.index(rung) if rung is not None and rung in self.rungs else None


def compile_route(
    spec: RouteSpec, name: str, location: Location, models: Mapping[str, ModelFacts], add: AddProblem
) -> Route:
    """Reports every unknown model and every chain that cannot work through `add`, and leaves those out."""
    resolve = _Resolver(models, add)
    candidates: list[Candidate] = []
    ladder = spec.quality or (None,)
    for rank, rung in enumerate(ladder):
        if rung is None:
            members = _members_of_promise(spec)
            where = [(*location, *path) for path, _ in members]
        else:
            inherits = rung.model is None and rung.stages is None and rung.any_of is None
            members = _members_of_promise(spec) if inherits else _members(rung)
            where = [
                (*location, *path) if inherits else (*location, "quality", rank, *path) for path, _ in members
            ]
            if inherits and not members:
                add((*location, "quality", rank), "names no model, and the route has none to vary")
            if inherits and rung.steps is not None:
                members = [(path, _with_steps(member, rung.steps)) for path, member in members]
        label = rung.name if rung else None
        candidates += resolve.candidates(members, where, rank, label, in_ladder=True)
    for index, fallback in enumerate(spec.fallback):
        members = _members(fallback)
        where = [(*location, "fallback", index, *path) for path, _ in members]
        candidates += resolve.candidates(members, where, len(ladder) + index, fallback.name, in_ladder=False)
    rungs = tuple(rung.name if rung else None for rung in ladder)
    return Route(name, tuple(candidates), rungs, spec)


def single_model_route(facts: ModelFacts, name: str, spec: RouteSpec) -> Route:
    """A route that plans this model and nothing else."""
    stage = Stage(facts, None, None, 1)
    return Route(name, (Candidate((stage,), 0, None, in_ladder=True),), (None,), spec)


_Member = tuple[Location, CandidateSpec]


def _members_of_promise(spec: RouteSpec) -> list[_Member]:
    if spec.any_of is not None:
        return [(("any_of", index), member) for index, member in enumerate(spec.any_of)]
    if spec.model is None and spec.stages is None:
        return []
    return [((), CandidateSpec(model=spec.model, stages=spec.stages, steps=spec.steps))]


def _members(spec: CandidateSpec) -> list[_Member]:
    if spec.any_of is not None:
        return [(("any_of", index), member) for index, member in enumerate(spec.any_of)]
    return [((), spec)]


def _with_steps(spec: CandidateSpec, steps: int) -> CandidateSpec:
    return spec.model_copy(update={"steps": steps})


@dataclass(frozen=True, slots=True)
class _Resolver:
    models: Mapping[str, ModelFacts]
    add: AddProblem

    def candidates(
        self, members: list[_Member], where: list[Location], rank: int, label: str | None, *, in_ladder: bool
    ) -> list[Candidate]:
        found = []
        for (_, member), location in zip(members, where, strict=True):
            stages = self._stages(member, location)
            if stages:
                found.append(Candidate(stages, rank, member.name or label, in_ladder))
        return found

    def _stages(self, spec: CandidateSpec, location: Location) -> tuple[Stage, ...]:
        if spec.stages is None and spec.model is None:
            self.add(location, "give a model, stages or any_of")
            return ()
        named: list[tuple[Location, StageSpec]] = (
            [((*location, "model"), StageSpec(model=spec.model))]
            if spec.model is not None
            else [((*location, "stages", index), stage) for index, stage in enumerate(spec.stages or ())]
        )
        resolved: list[tuple[ModelFacts, Capability | None, int | None]] = []
        for index, (where, stage) in enumerate(named):
            facts = self.models.get(stage.model)
            if facts is None:
                self.add(where, unknown_model(stage.model, self.models))
                continue
            capability = None if index == 0 else _transform(facts)
            if index > 0 and capability is None:
                self.add(where, f"{stage.model} makes images from nothing and cannot follow another stage")
                continue
            steps = stage.steps if stage.steps is not None or index > 0 else spec.steps
            resolved.append((facts, capability, steps))
        if len(resolved) < len(named):
            return ()
        stages, scale_after = [], 1
        for facts, capability, steps in reversed(resolved):
            stages.append(Stage(facts, capability, steps, scale_after))
            scale_after *= facts.scale if capability is Capability.UPSCALE else 1
        return tuple(reversed(stages))


def unknown_model(name: str, models: Mapping[str, ModelFacts]) -> str:
    return f"there is no model {name!r}; the models are {', '.join(sorted(models)) or '(none)'}"


def _transform(facts: ModelFacts) -> Capability | None:
    return next((each for each in _TRANSFORMS if each in facts.capabilities), None)

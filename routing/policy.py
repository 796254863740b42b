"""A policy file, read and checked: `load_policy(text, source=..., models=...) -> Policy`.

Everything that can be known to be wrong before a request comes is found here, each problem with file, line
and column. A Policy does not change. What a request makes of it is in decide.py.
"""

import gc
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from pydantic import BaseModel

from routing.document import DocumentError, Location, Place, Problem
from routing.files import PolicyFile, ReadInclude, read_with_includes
from routing.patterns import refusal
from routing.routes import AddProblem, Route, compile_route, unknown_model
from routing.schema import AliasSpec, AliasTarget, PolicySpec, RouteSpec, TenantSpec
from routing.types import ModelFacts

DEFAULT_ROUTE = "default"
AUTO = "auto"
VERSION_DIGITS = 12


class PolicyError(ValueError):
    """A policy that cannot be used. One line per problem: `file:line:col: path: message`."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__(problems)
        self.problems = problems

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)


@dataclass(frozen=True, slots=True)
class Policy:
    """`version` is the start of a SHA-256 over the texts of `sources` (the file, then what it includes).
    `spec` and `routes` hold the routes of all of them, in the order of matching; `written_at` is where each
    route stands."""

    version: str
    source: str
    sources: tuple[str, ...]
    spec: PolicySpec
    routes: tuple[Route, ...]
    default: Route | None
    written_at: tuple[Place, ...]

    @property
    def all_routes(self) -> tuple[Route, ...]:
        return self.routes if self.default is None else (*self.routes, self.default)


def load_policy(
    text: str | bytes, *, source: str, models: Mapping[str, ModelFacts], read: ReadInclude | None = None
) -> Policy:
    """Raises PolicyError with every problem of the first stage that finds any: text, schema, meaning.

    `read` gives the text of an included file by its path, which is relative to the folder of `source`;
    without it a policy cannot include others.
    """
    with _without_garbage_collection():
        return _loaded(text, source, models, read)


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """A large policy is a million objects and no cycles: looking for some takes as long as all the rest."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _loaded(
    text: str | bytes, source: str, models: Mapping[str, ModelFacts], read: ReadInclude | None
) -> Policy:
    try:
        files = read_with_includes(text, source, read)
    except DocumentError as error:
        raise PolicyError(error.problems) from None
    problems: list[Problem] = []
    compiler = _Compiler(files, models, problems)
    routes, default = compiler.routes(), compiler.default()
    compiler.check_names(routes, default)
    if problems:
        raise PolicyError(tuple(sorted(problems, key=lambda each: (each.source, each.line, each.column))))
    return Policy(
        version=_version(files),
        source=source,
        sources=tuple(file.document.source for file in files),
        spec=_merged(files),
        routes=routes,
        default=default,
        written_at=tuple(
            file.document.place_of(("model_routing", index))
            for file in files
            for index in range(len(file.spec.model_routing))
        ),
    )


def _version(files: Sequence[PolicyFile]) -> str:
    """Of a single file: of its text alone, so that `sha256sum` agrees."""
    digest = hashlib.sha256()
    for index, file in enumerate(files):
        if index > 0:
            digest.update(f"\x00{file.document.source}\x00".encode())
        digest.update(file.data)
    return digest.hexdigest()[:VERSION_DIGITS]


def text_version(text: str | bytes) -> str:
    """The version a text has as a policy of one file; also names a text that is not a policy."""
    data = text.encode(errors="surrogatepass") if isinstance(text, str) else text
    return hashlib.sha256(data).hexdigest()[:VERSION_DIGITS]


def _merged(files: Sequence[PolicyFile]) -> PolicySpec:
    """Mappings of the files before win: the including file has the last word, as with its routes."""
    aliases: dict[str, AliasSpec] = {}
    tenants: dict[str, TenantSpec] = {}
    for file in reversed(files):
        aliases |= file.spec.aliases
        tenants |= file.spec.tenants
    return PolicySpec.model_construct(
        includes=files[0].spec.includes,
        model_routing=tuple(route for file in files for route in file.spec.model_routing),
        default=next((file.spec.default for file in files if file.spec.default is not None), None),
        aliases=aliases,
        tenants=tenants,
    )


@dataclass(slots=True)
class _Compiler:
    """Turns validated files into routes, collecting what is wrong."""

    files: Sequence[PolicyFile]
    models: Mapping[str, ModelFacts]
    problems: list[Problem]

    def routes(self) -> tuple[Route, ...]:
        checked: dict[str, str | None] = {}
        routes: list[Route] = []
        for file in self.files:
            add = self._adder(file)
            for index, route in enumerate(file.spec.model_routing):
                where: Location = ("model_routing", index)
                if route.pattern is None and route.match is None:
                    add(where, "a route without pattern or match takes every request: write it as `default:`")
                _check_patterns(route, where, checked, add)
                name = route.name or f"model_routing[{len(routes)}]"
                routes.append(compile_route(route, name, where, self.models, add))
        return tuple(routes)

    def default(self) -> Route | None:
        file = next((each for each in self.files if each.spec.default is not None), None)
        spec = None if file is None else file.spec.default
        if file is None or spec is None:
            return None
        add = self._adder(file)
        for key in ("pattern", "match"):
            if getattr(spec, key) is not None:
                add(("default", key), f"the default route takes what no other route takes: it has no {key}")
        return compile_route(spec, spec.name or DEFAULT_ROUTE, ("default",), self.models, add)

    def check_names(self, routes: tuple[Route, ...], default: Route | None) -> None:
        by_name: dict[str, Route] = {} if default is None else {default.name: default}
        remaining = iter(routes)
        for file in self.files:
            for index in range(len(file.spec.model_routing)):
                route = next(remaining)
                if route.name in by_name:
                    self._adder(file)(
                        ("model_routing", index, "name"), f"another route is called {route.name!r}"
                    )
                by_name[route.name] = route
        for file in self.files:
            for name, alias in file.spec.aliases.items():
                self._check_alias(name, alias, by_name, self._adder(file))

    def _check_alias(self, name: str, alias: AliasSpec, routes: Mapping[str, Route], add: AddProblem) -> None:
        where: Location = ("aliases", name)
        if name in self.models or name == AUTO:
            add(where, f"{name!r} means something already: an alias needs a name of its own")
        self._check_target(alias, where, routes, add)
        for quality, target in alias.quality.items():
            self._check_target(target, (*where, "quality", quality), routes, add)

    def _check_target(
        self, target: AliasSpec | AliasTarget, where: Location, routes: Mapping[str, Route], add: AddProblem
    ) -> None:
        if target.model not in (None, AUTO) and target.model not in self.models:
            add((*where, "model"), unknown_model(str(target.model), self.models))
        if target.route is None:
            return
        route = routes.get(target.route)
        if route is None:
            add((*where, "route"), f"no route is called {target.route!r}")
        elif target.rung is not None and route.rank_of(target.rung) is None:
            add((*where, "rung"), f"the quality ladder of {target.route!r} has no rung {target.rung!r}")

    def _adder(self, file: PolicyFile) -> AddProblem:
        def add(location: Location, message: str) -> None:
            self.problems.append(file.document.problem_at(location, message))

        return add


def _check_patterns(
    route: RouteSpec, where: Location, checked: dict[str, str | None], add: AddProblem
) -> None:
    given: list[tuple[Location, str | None]] = [((*where, "pattern"), route.pattern)]
    if route.match is not None:
        given.append(((*where, "match", "asset"), route.match.asset))
        given.append(((*where, "match", "prompt"), route.match.prompt))
    for location, pattern in given:
        if pattern is None:
            continue
        if pattern not in checked:
            checked[pattern] = refusal(pattern)
        message = checked[pattern]
        if message is not None:
            add(location, message)


def mentioned_models(spec: PolicySpec) -> frozenset[str]:
    """Every name that stands where a model's name is expected."""
    found: set[str] = set()

    def visit(value: object) -> None:
        if isinstance(value, AliasSpec | AliasTarget) and value.model == AUTO:
            return
        if isinstance(value, BaseModel):
            model = getattr(value, "model", None)
            if isinstance(model, str):
                found.add(model)
            for name in value.model_fields_set:
                visit(getattr(value, name))
        elif isinstance(value, tuple):
            for each in value:
                visit(each)
        elif isinstance(value, Mapping):
            for each in value.values():
                visit(each)

    visit(spec)
    return frozenset(found)

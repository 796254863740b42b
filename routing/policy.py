"""A policy file, read and checked: `load_policy(text, source=..., models=...) -> Policy`.

Everything that can be known to be wrong before a request comes is found here, each problem with file, line
and column. A Policy does not change. What a request makes of it is in decide.py.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from routing.document import Document, DocumentError, Location, Problem, parse
from routing.patterns import PatternError, check
from routing.routes import Route, compile_route, unknown_model
from routing.schema import AliasSpec, AliasTarget, PolicySpec, RouteSpec
from routing.types import ModelFacts

DEFAULT_ROUTE = "default"
AUTO = "auto"


class PolicyError(ValueError):
    """A policy that cannot be used. One line per problem: `file:line:col: path: message`."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__(problems)
        self.problems = problems

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)


@dataclass(frozen=True, slots=True)
class Policy:
    """`version` is the start of the SHA-256 of the text. `routes` are in the order of matching."""

    version: str
    source: str
    spec: PolicySpec
    routes: tuple[Route, ...]
    default: Route | None

    @property
    def all_routes(self) -> tuple[Route, ...]:
        return self.routes if self.default is None else (*self.routes, self.default)


def load_policy(text: str | bytes, *, source: str, models: Mapping[str, ModelFacts]) -> Policy:
    """Raises PolicyError with every problem of the first stage that finds any: text, schema, meaning."""
    try:
        document = parse(text, source)
    except DocumentError as error:
        raise PolicyError(error.problems) from None
    spec = _validated(document)
    problems: list[Problem] = []
    reader = _Reader(document, spec, models, problems)
    routes, default = reader.routes(), reader.default()
    reader.check_names(routes, default)
    if problems:
        raise PolicyError(tuple(sorted(problems, key=lambda each: (each.source, each.line, each.column))))
    return Policy(version_of(text), source, spec, routes, default)


def version_of(text: str | bytes) -> str:
    data = text.encode(errors="surrogatepass") if isinstance(text, str) else text
    return hashlib.sha256(data).hexdigest()[:12]


def _validated(document: Document) -> PolicySpec:
    if document.value is None:
        raise PolicyError((Problem(document.source, 1, 1, "(top level)", "the file is empty"),))
    if not isinstance(document.value, dict):
        message = "expected a mapping with model_routing"
        raise PolicyError((document.problem_at((), message),))
    try:
        return PolicySpec.model_validate(document.value)
    except ValidationError as error:
        raise PolicyError(
            tuple(
                document.problem_at(
                    each["loc"],
                    _in_words(each["type"], each["msg"]),
                    of_key=each["type"] == "extra_forbidden",
                )
                for each in error.errors(include_url=False, include_context=False, include_input=False)
            )
        ) from None


def _in_words(kind: str, message: str) -> str:
    """pydantic's message, with its programmer's terms replaced by a YAML writer's."""
    if kind == "extra_forbidden":
        return "there is no such key here"
    words = {"tuple": "list", "dictionary": "mapping", "Value error, ": "", "Input should": "should"}
    for term, word in words.items():
        message = message.replace(term, word)
    return message


@dataclass(slots=True)
class _Reader:
    """Turns the validated spec into routes, collecting what is wrong."""

    document: Document
    spec: PolicySpec
    models: Mapping[str, ModelFacts]
    problems: list[Problem]

    def routes(self) -> tuple[Route, ...]:
        checked: dict[str, str | None] = {}
        routes = []
        for index, route in enumerate(self.spec.model_routing):
            where: Location = ("model_routing", index)
            if route.pattern is None and route.match is None:
                self._add(
                    where, "a route without pattern or match would take every request: write it as `default:`"
                )
            self._check_patterns(route, where, checked)
            name = route.name or f"model_routing[{index}]"
            routes.append(compile_route(route, name, where, self.models, self._add))
        return tuple(routes)

    def default(self) -> Route | None:
        spec = self.spec.default
        if spec is None:
            return None
        for key in ("pattern", "match"):
            if getattr(spec, key) is not None:
                self._add(
                    ("default", key), f"the default route takes what no other route takes: it has no {key}"
                )
        return compile_route(spec, spec.name or DEFAULT_ROUTE, ("default",), self.models, self._add)

    def check_names(self, routes: tuple[Route, ...], default: Route | None) -> None:
        by_name: dict[str, Route] = {} if default is None else {default.name: default}
        for index, route in enumerate(routes):
            if route.name in by_name:
                self._add(("model_routing", index, "name"), f"another route is called {route.name!r}")
            by_name[route.name] = route
        for name, alias in self.spec.aliases.items():
            self._check_alias(name, alias, by_name)

    def _check_alias(self, name: str, alias: AliasSpec, routes: Mapping[str, Route]) -> None:
        where: Location = ("aliases", name)
        if name in self.models or name == AUTO:
            self._add(where, f"{name!r} is the name of a model already" if name != AUTO else "auto is taken")
        self._check_target(alias, where, routes)
        for quality, target in alias.quality.items():
            self._check_target(target, (*where, "quality", quality), routes)

    def _check_target(
        self, target: AliasSpec | AliasTarget, where: Location, routes: Mapping[str, Route]
    ) -> None:
        if target.model not in (None, AUTO) and target.model not in self.models:
            self._add((*where, "model"), unknown_model(str(target.model), self.models))
        if target.route is None:
            return
        route = routes.get(target.route)
        if route is None:
            self._add((*where, "route"), f"no route is called {target.route!r}")
        elif target.rung is not None and route.rank_of(target.rung) is None:
            self._add(
                (*where, "rung"), f"route {target.route!r} has no rung {target.rung!r} in its quality ladder"
            )

    def _check_patterns(self, route: RouteSpec, where: Location, checked: dict[str, str | None]) -> None:
        given: list[tuple[Location, str | None]] = [((*where, "pattern"), route.pattern)]
        if route.match is not None:
            given.append(((*where, "match", "asset"), route.match.asset))
            given.append(((*where, "match", "prompt"), route.match.prompt))
        for location, pattern in given:
            if pattern is None:
                continue
            if pattern not in checked:
                checked[pattern] = _refusal(pattern)
            refusal = checked[pattern]
            if refusal is not None:
                self._add(location, refusal)

    def _add(self, location: Location, message: str) -> None:
        self.problems.append(self.document.problem_at(location, message))


def _refusal(pattern: str) -> str | None:
    try:
        check(pattern)
    except PatternError as error:
        return str(error)
    return None

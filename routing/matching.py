"""Which route a request takes: the first, from the top, whose conditions all hold.

All patterns are found by one scan of the asset label and one of the prompt. A route is then looked at only
if its rarest condition holds, so that a decision does not walk through 10,000 routes. Does not know models.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from routing.patterns import PatternSet, core
from routing.schema import Match, RouteSpec
from routing.types import AssetRequest

# What a route can be found by: ("pattern" | "asset" | "prompt", pattern id) or (field, exact value).
Key = tuple[str, int | str]

_ALWAYS: Key = ("always", 0)
_ASSET_SCANS_KEPT = 4096


@dataclass(frozen=True, slots=True)
class Conditions:
    """A route's conditions; patterns by their index in the set, None where there is no condition."""

    pattern: int | None
    asset: int | None
    prompt: int | None
    exact: Match | None

    def unmet(self, request: AssetRequest, in_asset: frozenset[int], in_prompt: set[int]) -> str | None:
        """The first condition that does not hold, in words; None when all hold."""
        if self.pattern is not None and self.pattern not in in_asset and self.pattern not in in_prompt:
            return "the pattern is neither in the asset nor in the prompt"
        if self.asset is not None and self.asset not in in_asset:
            return f"asset {request.asset!r} does not match"
        if self.prompt is not None and self.prompt not in in_prompt:
            return "the prompt does not match"
        return None if self.exact is None else _unmet_exact(self.exact, request)


def _unmet_exact(match: Match, request: AssetRequest) -> str | None:
    if match.tenant is not None and request.tenant not in match.tenant:
        return f"tenant {request.tenant!r} is not among {', '.join(match.tenant)}"
    if match.quality is not None and request.quality not in match.quality:
        return f"quality {request.quality!r} is not among {', '.join(match.quality)}"
    if match.size is not None and size_text(request) not in match.size:
        return f"size {size_text(request)} is not among {', '.join(match.size)}"
    if match.needs is not None and request.needs != match.needs:
        return f"the request needs {request.needs.value}, not {match.needs}"
    if match.priority is not None and request.priority != match.priority:
        return f"priority {request.priority} is not {match.priority}"
    for label, values in match.labels.items():
        if request.labels.get(label) not in values:
            return f"label {label}={request.labels.get(label)!r} is not among {', '.join(values)}"
    return None


def size_text(request: AssetRequest) -> str:
    if request.width is None or request.height is None:
        return "auto"
    return f"{request.width}x{request.height}"


class Matcher:
    """Finds the first of the routes that matches. Their patterns must be free of `patterns.refusal`."""

    def __init__(self, routes: Sequence[RouteSpec]) -> None:
        ids: dict[str, int] = {}
        self.conditions = tuple(_conditions(route, ids) for route in routes)
        self._patterns = PatternSet(tuple(ids))
        self._scan_asset = lru_cache(_ASSET_SCANS_KEPT)(lambda text: frozenset(self._patterns.found_in(text)))
        self._by_key = _index(self.conditions)
        self._patterns.warm_up()

    def first(self, request: AssetRequest) -> int | None:
        """Index of the first route that matches, None when none does."""
        return next(self.matching(request), None)

    def matching(self, request: AssetRequest) -> Iterator[int]:
        """Indices of all routes that match, in order."""
        in_asset, in_prompt = self.scan(request)
        candidates = list(self._by_key.get(_ALWAYS, ()))
        for key in _keys_of(request, in_asset, in_prompt):
            candidates += self._by_key.get(key, ())
        candidates.sort()
        for index in candidates:
            if self.conditions[index].unmet(request, in_asset, in_prompt) is None:
                yield index

    def scan(self, request: AssetRequest) -> tuple[frozenset[int], set[int]]:
        """The patterns in the asset label and in the prompt."""
        in_asset: frozenset[int] = (
            self._scan_asset(request.asset) if request.asset is not None else frozenset()
        )
        return in_asset, self._patterns.found_in(request.prompt)


def _conditions(route: RouteSpec, ids: dict[str, int]) -> Conditions:
    def identified(pattern: str | None) -> int | None:
        return None if pattern is None else ids.setdefault(core(pattern), len(ids))

    match = route.match
    return Conditions(
        pattern=None if route.pattern is None or not core(route.pattern) else identified(route.pattern),
        asset=identified(match.asset) if match else None,
        prompt=identified(match.prompt) if match else None,
        exact=match,
    )


def _keys(conditions: Conditions) -> list[tuple[Key, ...]]:
    """The alternatives a route can be found by: at least one key of each holds when the route matches."""
    found: list[tuple[Key, ...]] = []
    for name in ("pattern", "asset", "prompt"):
        pattern = getattr(conditions, name)
        if pattern is not None:
            found.append(((name, pattern),))
    match = conditions.exact
    if match is not None:
        for name in ("tenant", "quality", "size"):
            values = getattr(match, name)
            if values is not None:
                found.append(tuple((name, value) for value in dict.fromkeys(values)))
        found += [
            tuple((f"label {label}", value) for value in dict.fromkeys(values))
            for label, values in match.labels.items()
        ]
    return found or [(_ALWAYS,)]


def _index(conditions: Sequence[Conditions]) -> dict[Key, list[int]]:
    """Each route under the keys of its rarest condition."""
    alternatives = [_keys(each) for each in conditions]
    uses = Counter(key for keys in alternatives for group in keys for key in group)
    index: dict[Key, list[int]] = {}
    for route, groups in enumerate(alternatives):
        for key in min(groups, key=lambda group: max(uses[each] for each in group)):
            index.setdefault(key, []).append(route)
    return index


def _keys_of(request: AssetRequest, in_asset: frozenset[int], in_prompt: set[int]) -> list[Key]:
    keys: list[Key] = [("pattern", each) for each in in_asset | in_prompt]
    keys += [("asset", each) for each in in_asset]
    keys += [("prompt", each) for each in in_prompt]
    if request.tenant is not None:
        keys.append(("tenant", request.tenant))
    if request.quality is not None:
        keys.append(("quality", request.quality))
    keys.append(("size", size_text(request)))
    keys += [(f"label {label}", value) for label, value in request.labels.items()]
    return keys

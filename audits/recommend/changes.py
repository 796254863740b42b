"""How routes of a policy should change, and what the changed file has to mean. Knows nothing of how it is
written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from routing.document import parse

RoutePlace = int | None
"""A route's index in `model_routing`, or None for the default route."""


class CannotEdit(ValueError):
    """The file is written in a way in which a route cannot be changed without changing more."""


@dataclass(frozen=True, slots=True)
class RouteChange:
    """`values` are the keys of the route that change, None for a key to be removed; `remarks` stand above
    it."""

    place: RoutePlace
    values: Mapping[str, Any]
    remarks: Sequence[str]


@dataclass(frozen=True, slots=True)
class NewRoute:
    """A route that is written before the one with the index `before`, or at the end."""

    before: int | None
    values: Mapping[str, Any]
    remarks: Sequence[str]


def updated(old: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**old, **values}
    return {key: value for key, value in merged.items() if value is not None}


def check_meaning(
    before: str, after: str, changes: Sequence[RouteChange], additions: Sequence[NewRoute]
) -> None:
    """Raises CannotEdit unless the new text means exactly the old one with the changes."""
    expected: dict[str, Any] = _as_lists(parse(before, "policy").value)
    routes: list[tuple[Any, ...]] = [
        (index, 1, each) for index, each in enumerate(expected.get("model_routing") or [])
    ]
    for change in changes:
        old = expected["default"] if change.place is None else routes[change.place][2]
        new = updated(old, change.values)
        if change.place is None:
            expected["default"] = new
        else:
            routes[change.place] = (change.place, 1, new)
    end = len(routes)
    for addition in additions:
        values = {key: value for key, value in addition.values.items() if value is not None}
        at = end if addition.before is None else addition.before
        routes.append((at, 0, values))
    if routes:
        expected["model_routing"] = [route for *_, route in sorted(routes, key=lambda each: each[:2])]
    try:
        found = _as_lists(parse(after, "policy").value)
    except ValueError as error:
        raise CannotEdit(
            f"the policy is written in a way that cannot be changed line by line: {error}"
        ) from None
    if found != expected:
        raise CannotEdit("the policy is written in a way that cannot be changed line by line")


def _as_lists(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _as_lists(each) for key, each in value.items()}
    return [_as_lists(each) for each in value] if isinstance(value, tuple | list) else value

"""Several calls of one denoiser become a single call, and its output their outputs.

Rows of a call are its leading dimension: one a request, two with guidance. Works on whatever arguments
a denoiser takes, found by shape; knows no pipeline.
"""

import operator
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

UNBATCHED = frozenset({"img_ids", "txt_ids"})
"""Arguments without a batch dimension: positions, equal for all calls of one shape."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a denoiser: every argument by its name, and the rows its sample has.

    `signature` is equal for two calls that can be made as one.
    """

    arguments: Mapping[str, Any]
    rows: int
    signature: Hashable = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "signature", _Signature(_signature(self.arguments, self.rows)))


class _Signature:
    """Nested tuples that are hashed once, where the call is made: the step that groups calls waits less."""

    __slots__ = ("_hash", "_parts")

    def __init__(self, parts: Hashable) -> None:
        self._parts = parts
        self._hash = hash(parts)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Signature) and self._parts == other._parts


class Merger:
    """Joins calls. Remembers the tensors it joined last: most stay the same from step to step."""

    def __init__(self) -> None:
        self._last: dict[str, _Joined] = {}

    def merge(self, calls: Sequence[Call]) -> dict[str, Any]:
        """The arguments of one call over all rows. The calls must have one signature."""
        rows = [call.rows for call in calls]
        before, self._last = self._last, {}
        return {
            name: self._merge(name, [call.arguments[name] for call in calls], rows, before)
            for name in calls[0].arguments
        }

    def forget(self) -> None:
        """Frees what was remembered."""
        self._last = {}

    def _merge(self, path: str, values: list[Any], rows: Sequence[int], before: dict[str, "_Joined"]) -> Any:
        first = values[0]
        if path in UNBATCHED:
            return first
        if isinstance(first, torch.Tensor):
            joined = before.get(path)
            if joined is None or not joined.is_of(values):
                joined = _Joined.of(values, rows)
            self._last[path] = joined
            return joined.tensor
        if isinstance(first, Mapping):
            return {
                key: self._merge(f"{path}.{key}", [value[key] for value in values], rows, before)
                for key in first
            }
        if isinstance(first, list | tuple):
            return type(first)(
                self._merge(f"{path}.{index}", list(parts), rows, before)
                for index, parts in enumerate(zip(*values, strict=True))
            )
        return first


@dataclass(frozen=True, slots=True)
class _Joined:
    """A tensor and what it was joined of. Versions tell whether a part was written to since."""

    parts: list[torch.Tensor]
    versions: list[int]
    tensor: torch.Tensor

    @classmethod
    def of(cls, parts: list[torch.Tensor], rows: Sequence[int]) -> "_Joined":
        return cls(parts, [part._version for part in parts], _concatenated(parts, rows))

    def is_of(self, parts: list[torch.Tensor]) -> bool:
        return (
            len(parts) == len(self.parts)
            and all(map(operator.is_, parts, self.parts))
            and [part._version for part in parts] == self.versions
        )


def split(output: Any, rows: Sequence[int]) -> list[Any]:
    """The output of each call, from the output over all of their rows."""
    if isinstance(output, torch.Tensor):
        return list(torch.split(output, list(rows)))
    if isinstance(output, tuple):
        return [tuple(parts) for parts in zip(*(split(part, rows) for part in output), strict=True)]
    if isinstance(output, Mapping):
        parts = {key: split(value, rows) for key, value in output.items()}
        return [type(output)(**{key: parts[key][i] for key in parts}) for i in range(len(rows))]
    raise TypeError(f"a denoiser returned {type(output).__name__}, which cannot be split by rows")


def _concatenated(parts: list[torch.Tensor], rows: Sequence[int]) -> torch.Tensor:
    if all(part.ndim == 0 for part in parts) and len(set(rows)) == 1:
        # Timesteps, at every step: two operations instead of two for each request.
        return torch.stack(parts).unsqueeze(1).expand(-1, rows[0]).reshape(-1)
    return torch.cat([_with_rows(part, count) for part, count in zip(parts, rows, strict=True)])


def _with_rows(value: torch.Tensor, rows: int) -> torch.Tensor:
    """A scalar (a timestep) or a single row stands for every row."""
    if value.ndim == 0:
        return value.reshape(1).expand(rows)
    if value.shape[0] == rows:
        return value
    return value.expand(rows, *value.shape[1:])


def _signature(value: Any, rows: int) -> Hashable:
    if isinstance(value, torch.Tensor):
        return ("tensor", tuple(value.shape[1:]), value.dtype, value.device)
    if isinstance(value, Mapping):
        return tuple(
            (key, tuple(part.shape) if key in UNBATCHED and part is not None else _signature(part, rows))
            for key, part in sorted(value.items())
        )
    if isinstance(value, list | tuple):
        return tuple(_signature(part, rows) for part in value)
    return ("value", value)

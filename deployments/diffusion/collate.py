"""Several calls of one denoiser become a single call, and its output their outputs.

Rows of a call are its leading dimension: one a request, two with guidance. Works on whatever arguments
a denoiser takes, found by shape; knows no pipeline.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

UNBATCHED = frozenset({"img_ids", "txt_ids"})
"""Arguments without a batch dimension: positions, equal for all calls of one shape."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a denoiser: every argument by its name, and the rows its sample has."""

    arguments: Mapping[str, Any]
    rows: int

    def signature(self) -> Hashable:
        """Equal for two calls that can be made as one."""
        return _signature(self.arguments, self.rows)


def merge(calls: Sequence[Call]) -> dict[str, Any]:
    """The arguments of one call over all rows. The calls must have one signature."""
    rows = [call.rows for call in calls]
    return {
        name: _first(values) if name in UNBATCHED else _merge(values, rows)
        for name, values in _by_key([call.arguments for call in calls]).items()
    }


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


def _merge(values: Sequence[Any], rows: Sequence[int]) -> Any:
    first = values[0]
    if isinstance(first, torch.Tensor):
        return torch.cat([_with_rows(value, count) for value, count in zip(values, rows, strict=True)])
    if isinstance(first, Mapping):
        return {key: _merge(parts, rows) for key, parts in _by_key(values).items()}
    if isinstance(first, list | tuple):
        return type(first)(_merge(parts, rows) for parts in zip(*values, strict=True))
    return first


def _with_rows(value: torch.Tensor, rows: int) -> torch.Tensor:
    """A scalar (a timestep) or a single row stands for every row."""
    if value.ndim == 0:
        return value.reshape(1).expand(rows)
    if value.shape[0] == rows:
        return value
    return value.expand(rows, *value.shape[1:])


def _signature(value: Any, rows: int) -> Hashable:
    if isinstance(value, torch.Tensor):
        return ("tensor", tuple(value.shape[1:]), str(value.dtype), str(value.device))
    if isinstance(value, Mapping):
        return tuple(
            (key, tuple(part.shape) if key in UNBATCHED and part is not None else _signature(part, rows))
            for key, part in sorted(value.items())
        )
    if isinstance(value, list | tuple):
        return tuple(_signature(part, rows) for part in value)
    return ("value", value)


def _by_key(mappings: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    return {key: [mapping[key] for mapping in mappings] for key in mappings[0]}


def _first(values: Sequence[Any]) -> Any:
    return values[0]

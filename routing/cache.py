"""Exact cache and single flight: the same deterministic request is rendered once.

The key is a hash over everything that decides the pixels and their encoding, and over who may see them.
Nothing is approximate. Does not know what the values are.
"""

import asyncio
import hashlib
import json
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, TypeVar

from routing.types import Plan

V = TypeVar("V")


def cache_key(plan: Plan, revisions: Mapping[str, str], inputs: Mapping[str, Any], scope: str) -> str:
    """A SHA-256 over the plan with the revision of each model, the inputs (JSON values and bytes: prompt,
    seed, encoding, input image ...) and the scope: a tenant's name, so that no tenant sees another's images.

    Raises KeyError for a model without a revision, and TypeError for inputs that are neither.
    """
    stages = [
        [each.model, revisions[each.model], each.capability.value, each.width, each.height, each.steps]
        for each in plan.stages
    ]
    text = json.dumps([scope, stages, dict(inputs)], sort_keys=True, separators=(",", ":"), default=_digest)
    return hashlib.sha256(text.encode()).hexdigest()


def _digest(value: object) -> dict[str, str]:
    if isinstance(value, bytes | bytearray | memoryview):
        return {"sha256": hashlib.sha256(value).hexdigest()}
    raise TypeError(f"{type(value).__name__} cannot be part of a cache key")


@dataclass(frozen=True, slots=True)
class CacheStats:
    entries: int
    size_bytes: int
    hits: int
    misses: int
    evictions: int


@dataclass(slots=True)
class _Entry(Generic[V]):
    value: V
    size_bytes: int
    stored_at_s: float


@dataclass(slots=True)
class BoundedCache(Generic[V]):
    """Least recently used goes first. Bounded by bytes and entries; an entry is forgotten after `ttl_s`."""

    max_bytes: int
    max_entries: int = 10_000
    ttl_s: float = 3600.0
    _entries: OrderedDict[str, _Entry[V]] = field(default_factory=OrderedDict)
    _size_bytes: int = 0
    _hits: int = 0
    _misses: int = 0
    _evictions: int = 0

    def get(self, key: str, now_s: float) -> V | None:
        entry = self._entries.get(key)
        if entry is None or now_s - entry.stored_at_s >= self.ttl_s:
            if entry is not None:
                self._remove(key)
            self._misses += 1
            return None
        self._entries.move_to_end(key)
        self._hits += 1
        return entry.value

    def put(self, key: str, value: V, size_bytes: int, now_s: float) -> bool:
        """False when the value is too large to be kept at all."""
        if key in self._entries:
            self._remove(key)
        if size_bytes > self.max_bytes or self.max_entries < 1:
            return False
        self._entries[key] = _Entry(value, size_bytes, now_s)
        self._size_bytes += size_bytes
        while self._size_bytes > self.max_bytes or len(self._entries) > self.max_entries:
            self._remove(next(iter(self._entries)))
            self._evictions += 1
        return True

    def clear(self) -> None:
        self._entries.clear()
        self._size_bytes = 0

    def stats(self) -> CacheStats:
        return CacheStats(len(self._entries), self._size_bytes, self._hits, self._misses, self._evictions)

    def _remove(self, key: str) -> None:
        self._size_bytes -= self._entries.pop(key).size_bytes


@dataclass(frozen=True, slots=True)
class Flight(Generic[V]):
    """`shared` says that another caller's work was used."""

    value: V
    shared: bool


@dataclass(slots=True, eq=False)
class _InFlight(Generic[V]):
    task: asyncio.Task[V]
    deadline_s: float
    callers: int = 0


@dataclass(slots=True)
class SingleFlight(Generic[V]):
    """Callers with the same key wait for one run. It belongs to no caller: it ends early only when all of
    them are gone, and a caller whose own deadline is later than that of a run that failed tries again."""

    clock: Callable[[], float] = time.monotonic
    _flights: dict[str, _InFlight[V]] = field(default_factory=dict)

    async def run(
        self, key: str, work: Callable[[], Awaitable[V]], deadline_s: float | None = None, work_s: float = 0.0
    ) -> Flight[V]:
        """Raises what `work` raises, and TimeoutError when the caller's own deadline passes. `work_s` is how
        long the work is predicted to take: nobody tries again with less than that left."""
        ends_s = float("inf") if deadline_s is None else deadline_s
        flight = self._flights.get(key)
        shared = flight is not None and not flight.task.done()
        if flight is None or not shared:
            flight = _InFlight(asyncio.ensure_future(_run(work)), ends_s)
            self._flights[key] = flight
            flight.task.add_done_callback(partial(self._landed, key, flight))
        flight.callers += 1
        try:
            remaining_s = None if deadline_s is None else max(0.0, deadline_s - self.clock())
            async with asyncio.timeout(remaining_s):
                value = await asyncio.shield(flight.task)
        except Exception:
            if shared and flight.deadline_s < ends_s and self.clock() + work_s < ends_s:
                return await self.run(key, work, deadline_s, work_s)  # it may have failed for want of time
            raise
        finally:
            flight.callers -= 1
            if flight.callers == 0 and not flight.task.done():
                flight.task.cancel()
        return Flight(value, shared)

    def __len__(self) -> int:
        return len(self._flights)

    def _landed(self, key: str, flight: _InFlight[V], _: asyncio.Task[V]) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]
        if not flight.task.cancelled():
            flight.task.exception()  # seen: callers that have left must not make asyncio complain


async def _run(work: Callable[[], Awaitable[V]]) -> V:
    return await work()

"""Asks the service under load how many replicas each model has, once a second, beside the load.

A thread of its own with its own connection: what it asks is never counted as load and never delays it.
A service that does not tell is loaded all the same. Knows nothing of scenarios.
"""

import asyncio
import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import aiohttp

from loadtests.target import Target

FLEET = "/v1/fleet"
INTERVAL_S = 1.0
_TIMEOUT_S = 2.0

Trajectories = dict[str, list[tuple[float, int]]]
"""Model to (seconds since the start of the schedule, replicas), a point where the number changed."""


class ReplicaWatch:
    """What was told, by `time.time()`, and why nothing was when nothing was."""

    def __init__(self) -> None:
        self._told: list[tuple[float, Mapping[str, int]]] = []
        self._silence = "it was not asked"

    def note(self, at_unix_s: float, replicas: Mapping[str, int]) -> None:
        self._told.append((at_unix_s, replicas))

    def failed(self, why: str) -> None:
        self._silence = why

    def summary(self, started_unix_s: float) -> dict[str, Any]:
        """For the JSON document: `replicas`, or `replicas_missing` with the reason."""
        if not self._told:
            return {"replicas_missing": f"GET {FLEET} told nothing: {self._silence}"}
        return {"replicas": self.trajectories(started_unix_s)}

    def trajectories(self, started_unix_s: float) -> Trajectories:
        """From the start on, with the last number heard before it."""
        found: Trajectories = {}
        for at_unix_s, replicas in self._told:
            at_s = round(max(0.0, at_unix_s - started_unix_s), 3)
            for model, count in replicas.items():
                points = found.setdefault(model, [])
                if points and points[-1][0] == at_s:
                    points[-1] = (at_s, count)
                elif not points or points[-1][1] != count:
                    points.append((at_s, count))
        return found


@contextmanager
def watched_replicas(
    target: Target, headers: Mapping[str, str] | None = None, interval_s: float = INTERVAL_S
) -> Iterator[ReplicaWatch]:
    """Asks from here on to the end of the block."""
    watch = ReplicaWatch()
    loop = asyncio.new_event_loop()
    ended = asyncio.Event()

    def work() -> None:
        try:
            loop.run_until_complete(_ask_until(ended, target, dict(headers or {}), watch, interval_s))
        finally:
            loop.close()

    thread = threading.Thread(target=work, name="replica-watch", daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()


async def _ask_until(
    ended: asyncio.Event, target: Target, headers: Mapping[str, str], watch: ReplicaWatch, interval_s: float
) -> None:
    timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
    async with aiohttp.ClientSession(headers=headers, timeout=timeout, trust_env=False) as session:
        end = asyncio.create_task(ended.wait())
        while not end.done():
            await _ask(session, target.url(FLEET), watch)
            await asyncio.wait([end], timeout=interval_s)


async def _ask(session: aiohttp.ClientSession, url: str, watch: ReplicaWatch) -> None:
    try:
        async with session.get(url, allow_redirects=False) as response:
            body = await response.read()
    except TimeoutError:
        watch.failed("no answer in time")
    except (aiohttp.ClientError, OSError) as error:
        watch.failed(type(error).__name__)
    else:
        if response.status != 200:
            watch.failed(f"HTTP {response.status}")
        elif (replicas := read_fleet(body)) is None:
            watch.failed("no replicas in the response")
        else:
            watch.note(time.time(), replicas)


def read_fleet(body: bytes) -> dict[str, int] | None:
    """Replicas of each model; None when the body is not a fleet's."""
    try:
        models = json.loads(body)["models"]
        return {str(name): int(model["replicas"]) for name, model in models.items()}
    except (ValueError, TypeError, KeyError, AttributeError):
        return None

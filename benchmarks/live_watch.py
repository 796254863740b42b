"""Watches how a real Ray Serve scales a deployment: its replicas, and when it heard of the load.

Reports come every ten seconds from when a handle or a replica began, which nobody can choose: what the
controller thinks of the load jumps when one arrives, and so tells where in their period they are.
"""

import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from serve.cli.local import APPLICATION

PUSH_S = 10.0
"""Ray's default period of reports."""

STATES_S = 0.2
LOADS_S = 0.1
_BIN_S = 0.2


@dataclass(slots=True)
class Watched:
    """By `time.monotonic()`. `states` are (s, running, running or starting); `loads` (s, requests as the
    controller counts them); `notes` (s, time of the last note that the oldest replica has passed on)."""

    states: list[tuple[float, int, int]] = field(default_factory=list)
    loads: list[tuple[float, float]] = field(default_factory=list)
    notes: list[tuple[float, float]] = field(default_factory=list)

    def cold_starts_s(self) -> list[float]:
        """From the decision for a replica until it takes requests, of each that came up; a decision that was
        taken back takes the youngest with it."""
        decided_s: list[float] = []
        found: list[float] = []
        for (_, ran, _), (at_s, running, aim) in pairwise(self.states):
            starting = aim - running
            came = max(0, running - ran)
            found.extend(at_s - since_s for since_s in decided_s[:came])
            decided_s = decided_s[came : came + max(0, starting)]
            decided_s.extend([at_s] * (starting - len(decided_s)))
        return found

    def handle_phase(self, began_s: float) -> float:
        return _phase(self.loads, began_s)

    def replica_phase(self, began_s: float) -> float | None:
        """None where replicas report nothing of their own."""
        return _phase(self.notes, began_s) if self.notes else None


def _phase(values: Sequence[tuple[float, float]], began_s: float) -> float:
    """Where in the period (0..1) after `began_s` most jumps are; between them values move slowly."""
    bins = [0.0] * round(PUSH_S / _BIN_S)
    for (before_s, before), (at_s, value) in pairwise(values):
        moment_s = ((before_s + at_s) / 2 - began_s) % PUSH_S
        bins[int(moment_s / _BIN_S) % len(bins)] += min(1.0, abs(value - before))
    smooth = [bins[index - 1] + 2 * bins[index] + bins[(index + 1) % len(bins)] for index in range(len(bins))]
    return (smooth.index(max(smooth)) + 0.5) / len(bins)


@contextmanager
def watched(model: str) -> Iterator[Watched]:
    import ray
    from ray import serve as ray_serve
    from ray.serve._private.common import DeploymentID
    from ray.serve._private.constants import SERVE_CONTROLLER_NAME, SERVE_NAMESPACE

    seen = Watched()
    controller: Any = ray.get_actor(SERVE_CONTROLLER_NAME, namespace=SERVE_NAMESPACE)
    deployment = DeploymentID(model, APPLICATION)

    def look_at_states() -> None:
        states = ray_serve.status().applications[APPLICATION].deployments[model].replica_states
        running = states.get("RUNNING", 0)
        seen.states.append((time.monotonic(), running, running + states.get("STARTING", 0)))

    def look_at_loads() -> None:
        total, metrics = ray.get(
            [
                controller._get_total_num_requests_for_deployment_for_testing.remote(deployment),
                controller._get_metrics_for_deployment_for_testing.remote(deployment),
            ]
        )
        now_s = time.monotonic()
        seen.loads.append((now_s, total))
        for series in list(metrics.values())[:1]:
            seen.notes.append((now_s, series[0][-1].timestamp if series[0] else math.nan))

    with _repeated(look_at_states, STATES_S), _repeated(look_at_loads, LOADS_S):
        yield seen


@contextmanager
def _repeated(look: Callable[[], None], interval_s: float) -> Iterator[None]:
    ended = threading.Event()

    def work() -> None:
        while not ended.wait(interval_s):
            look()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()

"""The simulator against life: a model that sleeps, scaled by a real Ray Serve, and the same simulated.

    python -m benchmarks.loadtest_live [--share 1.0] [--policy requests|work] [--plot FILE.svg]

Six minutes with a ramp and a spike (`--share` shortens all of it). What a replica needs to start, on this
machine under this load, is measured in the live run: the median of its replicas, from the decision on.
Where a handle is in its reporting period when the first call comes is chance in life, so the simulation
runs once for each of ten such moments; the middle one by replica-seconds is shown, with the range of all.
Bars: replica-seconds within 10%, p95 within 15%, number of scale-ups and scale-downs within one.
"""

import argparse
import asyncio
import math
import socket
import statistics
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
from rich.console import Console

from loadtests.report.chart import Point, Series, line_chart, svg_file
from loadtests.scenario import Scenario
from loadtests.session import run_session
from loadtests.simulator.result import Result
from loadtests.simulator.simulation import simulate
from loadtests.simulator.world import World
from loadtests.tally import Tally
from loadtests.target import Target
from loadtests.workload import calls
from serve.cli.local import APPLICATION, serving
from serve.config import AppConfig, parse_config

LATENCY_MS = 1500.0
SLOTS = 2
SCALING: dict[str, Any] = {
    "min_replicas": 1,
    "max_replicas": 5,
    "target_ongoing_requests": 1.5,
    "look_back_period_s": 15,
    "upscale_delay_s": 5,
    "downscale_delay_s": 20,
}
WORK = {"target_work_s": 1.1, "smoothing_s": 10, "request_work_s": LATENCY_MS / 1000 / SLOTS}
POLICY = """
model_routing: []
default: {model: sleeper, max_latency_ms: 60000}
tenants: {"*": {concurrency: 1000}}
"""
PHASES = 10
POLL_S = 0.2
Trajectory = list[tuple[float, int]]


@dataclass(frozen=True, slots=True)
class Seen:
    """One run. `replicas` are those that take requests, `targets` those and the ones that start."""

    replicas: Trajectory
    ups: int
    downs: int
    duration_s: float
    p95_ms: float
    p95_over_time: Sequence[Point]

    @property
    def replica_s(self) -> float:
        points = [*self.replicas, (self.duration_s, 0)]
        return sum(count * (end_s - at_s) for (at_s, count), (end_s, _) in pairwise(points))


def scenario(share: float) -> Scenario:
    arrivals = [
        {"kind": "constant", "rps": 0.6, "duration_s": 40 * share},
        {"kind": "ramp", "start_rps": 0.6, "end_rps": 4, "duration_s": 90 * share},
        {"kind": "constant", "rps": 0.8, "duration_s": 80 * share},
        {
            "kind": "spike",
            "base_rps": 0.8,
            "peak_rps": 5,
            "before_s": 10 * share,
            "peak_s": 30 * share,
            "after_s": 110 * share,
        },
    ]
    shots = [{"name": "sleeper", "prompts": ["a cat"], "size": "64x64"}]
    return Scenario.model_validate(
        {"name": "live", "seed": 5, "arrivals": arrivals, "shots": shots, "check_images_ratio": 0}
    )


def config(policy: str) -> AppConfig:
    common = {
        "kind": "echo",
        "num_cpus": 0.1,
        "latency_ms": LATENCY_MS,
        "concurrency": SLOTS,
        "max_ongoing_requests": SLOTS,
        "max_queued_requests": -1,
        "graceful_shutdown_timeout_s": 10,
    }
    sleeper: dict[str, Any] = {**common, "autoscaling": SCALING}
    if policy == "work":
        sleeper["work_scaling"] = WORK
    return parse_config(
        {
            "models": {"sleeper": sleeper},
            "policy": {"text": POLICY},
            "router": {"num_cpus": 0.1, "load_poll_interval_s": 0.5},
        }
    )


def world(policy: str, cold_start_s: float) -> World:
    """A slot of the sleeping model is a place in a batch whose steps take as long at any size."""
    steps = 100
    sleeper: dict[str, Any] = {
        "step_ms": LATENCY_MS / steps,
        "default_steps": steps,
        "max_batch": SLOTS,
        "cold_start_s": cold_start_s,
        "max_ongoing_requests": SLOTS,
        "max_queued_requests": -1,
        "autoscaling": SCALING,
        "work_scaling": WORK if policy == "work" else None,
    }
    return World.model_validate({"models": {"sleeper": sleeper}, "policy": POLICY, "control_interval_s": 0.2})


def live(policy: str, load: Scenario) -> tuple[Seen, float]:
    """What was seen, and how long a replica took to start: NaN where none did."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with serving(config(policy), "127.0.0.1", port, Console(quiet=True)):
        url = f"http://127.0.0.1:{port}"
        asyncio.run(ask(url, "sleeper"))
        with watched("sleeper") as points:
            began_s = time.monotonic()
            counted, _ = run_session(load, Target(url))
            time.sleep(max(0.0, load.duration_s - (time.monotonic() - began_s)))
        starts_s = cold_starts_s(points)
        return seen_of(points, began_s, load.duration_s, counted), statistics.median(starts_s or [math.nan])


def cold_starts_s(points: Sequence[tuple[float, int, int]]) -> list[float]:
    """From the decision for a replica until it takes requests, of each that came up; a decision that was
    taken back takes the youngest with it."""
    decided_s: list[float] = []
    found: list[float] = []
    for (_, ran, _), (at_s, running, aim) in pairwise(points):
        starting = aim - running
        came = max(0, running - ran)
        found.extend(at_s - since_s for since_s in decided_s[:came])
        decided_s = decided_s[came : came + max(0, starting)]
        decided_s.extend([at_s] * (starting - len(decided_s)))
    return found


async def ask(url: str, model: str) -> None:
    body = {"model": model, "prompt": "a cat", "size": "64x64"}
    images = f"{url}/v1/images/generations"
    async with aiohttp.ClientSession() as session, session.post(images, json=body) as answer:
        answer.raise_for_status()
        await answer.read()


@contextmanager
def watched(model: str) -> Iterator[list[tuple[float, int, int]]]:
    """(monotonic s, running, running or starting) of a deployment, as Ray's controller says."""
    from ray import serve as ray_serve

    points: list[tuple[float, int, int]] = []
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(POLL_S):
            states = ray_serve.status().applications[APPLICATION].deployments[model].replica_states
            running = states.get("RUNNING", 0)
            points.append((time.monotonic(), running, running + states.get("STARTING", 0)))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield points
    finally:
        ended.set()
        thread.join()


def seen_of(
    points: Sequence[tuple[float, int, int]], began_s: float, duration_s: float, counted: Tally
) -> Seen:
    inside = [(at_s - began_s, run, aim) for at_s, run, aim in points if at_s - began_s <= duration_s]
    replicas: Trajectory = [(0.0, inside[0][1])]
    for at_s, running, _ in inside:
        if running != replicas[-1][1]:
            replicas.append((at_s, running))
    aims = [aim for _, _, aim in inside]
    return Seen(
        replicas,
        ups=sum(after > before for before, after in pairwise(aims)),
        downs=sum(after < before for before, after in pairwise(aims)),
        duration_s=duration_s,
        p95_ms=counted.total.latency.quantile_ms(0.95) or 0.0,
        p95_over_time=p95_over_time(counted),
    )


def p95_over_time(counted: Tally, bin_s: int = 10) -> list[Point]:
    bins: dict[int, Any] = {}
    for second, group in counted.by_second.items():
        bins.setdefault(second // bin_s, type(group)()).add(group)
    return [((at + 0.5) * bin_s, bins[at].latency.quantile_ms(0.95)) for at in sorted(bins)]


def simulated(policy: str, load: Scenario, cold_start_s: float) -> list[Seen]:
    """One for each phase, by ascending replica-seconds."""
    due = list(calls(load.times(), load.mix(), load.seed))
    runs = []
    for phase in range(PHASES):
        result = simulate(world(policy, cold_start_s), due, load.duration_s, load.seed, phase / PHASES)
        runs.append(seen_simulated(result, load.duration_s))
    return sorted(runs, key=lambda run: run.replica_s)


def seen_simulated(result: Result, duration_s: float) -> Seen:
    ups, downs = result.scalings["sleeper"]
    replicas = [point for point in result.replicas["sleeper"] if point[0] <= duration_s]
    counted = result.tally()
    p95_ms = counted.total.latency.quantile_ms(0.95) or 0.0
    return Seen(replicas, ups, downs, duration_s, p95_ms, p95_over_time(counted))


def report(life: Seen, runs: Sequence[Seen], cold_start_s: float) -> bool:
    middle = runs[len(runs) // 2]
    print(f"a replica starts in {cold_start_s:.1f} s\n")
    print(f"{'':18} {'live':>8} {'simulated':>10} {'range':>19} {'difference':>11} {'wanted':>9}")
    met = True
    for name, value, wanted in (
        ("replica-seconds", lambda run: run.replica_s, 0.10),
        ("p95 ms", lambda run: run.p95_ms, 0.15),
    ):
        values = [value(run) for run in runs]
        off = value(middle) / value(life) - 1
        met = met and abs(off) <= wanted
        span = f"{min(values):.0f} to {max(values):.0f}"
        print(f"{name:18} {value(life):>8.0f} {value(middle):>10.0f} {span:>19} {off:>+11.1%} {wanted:>9.0%}")
    for name, count in (("scale-ups", lambda run: run.ups), ("scale-downs", lambda run: run.downs)):
        counts = [count(run) for run in runs]
        off = count(middle) - count(life)
        met = met and abs(off) <= 1
        span = f"{min(counts)} to {max(counts)}"
        print(f"{name:18} {count(life):>8} {count(middle):>10} {span:>19} {off:>+11} {1:>9}")
    return met


def plot(life: Seen, simulation: Seen, path: Path) -> None:
    end_s = life.duration_s
    both = [("live", life, 0, False), ("simulated", simulation, 1, True)]
    lines = [
        Series(name, [*run.replicas, (end_s, run.replicas[-1][1])], colour, dashed, stepped=True)
        for name, run, colour, dashed in both
    ]
    latencies = [Series(name, run.p95_over_time, colour, dashed) for name, run, colour, dashed in both]
    charts = [
        line_chart(lines, x_label="s", y_label="replicas", legend_inside=True),
        line_chart(latencies, x_label="s, when due", y_label="p95 ms of 10 s", legend_inside=True),
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    style = (resources.files("loadtests.report") / "page.css").read_text()
    path.write_text(svg_file(charts, style))


def main() -> bool:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--policy", choices=["requests", "work"], default="requests")
    parser.add_argument("--plot", type=Path, default=Path("docs/images/loadtest_live.svg"))
    options = parser.parse_args()
    load = scenario(options.share)
    life, cold_start_s = live(options.policy, load)
    runs = simulated(options.policy, load, cold_start_s)
    plot(life, runs[len(runs) // 2], options.plot)
    return report(life, runs, cold_start_s)


if __name__ == "__main__":
    sys.exit(0 if main() else 1)

"""The simulator against life: a model that sleeps, scaled by a real Ray Serve, and the same simulated.

    python -m benchmarks.loadtest_live [--share 1.0] [--policy requests|work] [--plot FILE.svg]

Six minutes with a ramp and a spike (`--share` shortens all of it). Four constants of this machine and moment
are measured in the live run and given to the simulation: what a request takes alone, what a replica needs
to start under this load (the median, from the decision on), and where the handle and the first replica are
in their reporting period when the first call comes, which is chance. How much that chance decides is shown
as the range over ten such moments. Bars: replica-seconds within 10%, p95 within 15%, number of scale-ups
and scale-downs within one.
"""

import argparse
import asyncio
import socket
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
from rich.console import Console

from benchmarks.live_watch import PUSH_S, watched
from loadtests.report.chart import Point, Series, line_chart, svg_file
from loadtests.scenario import Scenario
from loadtests.session import run_session
from loadtests.simulator.result import Result
from loadtests.simulator.simulation import simulate
from loadtests.simulator.world import World
from loadtests.tally import Tally
from loadtests.target import Target
from loadtests.workload import calls
from serve.cli.local import serving
from serve.config import AppConfig, parse_config

LATENCY_MS = 4000.0
SLOTS = 16
SCALING: dict[str, Any] = {
    "min_replicas": 1,
    "max_replicas": 5,
    "target_ongoing_requests": 8,
    # A fifth of it, every 5 s, is when a handle counts: in step with its reports, every 10 s.
    "look_back_period_s": 25,
    "upscale_delay_s": 5,
    "downscale_delay_s": 20,
}
WORK = {"target_work_s": 2.5, "smoothing_s": 10, "request_work_s": LATENCY_MS / 1000 / SLOTS}
POLICY = """
model_routing: []
default: {model: sleeper, max_latency_ms: 60000}
tenants: {"*": {concurrency: 1000}}
"""
PHASES = 10
LEAD_S = 3 * PUSH_S
"""Of no load before the first call: handles have counted nothing for a while, as in life."""
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
    """Evenly spaced: whether a handle that counts every 5 s sees a cluster of independent arrivals is chance,
    and one that it sees is a scaling."""
    arrivals = [
        {"kind": "constant", "rps": 1, "duration_s": 40 * share},
        {"kind": "ramp", "start_rps": 1, "end_rps": 9, "duration_s": 90 * share},
        {"kind": "constant", "rps": 2.7, "duration_s": 80 * share},
        {
            "kind": "spike",
            "base_rps": 2.7,
            "peak_rps": 12,
            "before_s": 10 * share,
            "peak_s": 30 * share,
            "after_s": 110 * share,
        },
    ]
    shots = [{"name": "sleeper", "prompts": ["a cat"], "size": "64x64"}]
    return Scenario.model_validate(
        {
            "name": "live",
            "seed": 5,
            "arrivals": arrivals,
            "spacing": "even",
            "shots": shots,
            "check_images_ratio": 0,
        }
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


@dataclass(frozen=True, slots=True)
class Measured:
    """Of the live run. Phases are shares of the reporting period (0..1) at the first call."""

    alone_s: float
    cold_start_s: float
    handle_phase: float
    replica_phase: float | None


def world(policy: str, measured: Measured) -> World:
    """A slot of the sleeping model is a place in a batch whose steps take as long at any size."""
    steps = 100
    sleeper: dict[str, Any] = {
        "step_ms": measured.alone_s * 1000 / steps,
        "default_steps": steps,
        "max_batch": SLOTS,
        "cold_start_s": measured.cold_start_s,
        "max_ongoing_requests": SLOTS,
        "max_queued_requests": -1,
        "autoscaling": SCALING,
        "work_scaling": WORK if policy == "work" else None,
    }
    return World.model_validate({"models": {"sleeper": sleeper}, "policy": POLICY, "control_interval_s": 0.2})


def live(policy: str, load: Scenario) -> tuple[Seen, Measured]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with serving(config(policy), "127.0.0.1", port, Console(quiet=True)):
        url = f"http://127.0.0.1:{port}"
        alone_s = min(asyncio.run(ask(url, "sleeper")) for _ in range(3))
        with watched("sleeper") as seen:
            began_s = time.monotonic()
            counted, _ = run_session(load, Target(url))
            time.sleep(max(0.0, load.duration_s - (time.monotonic() - began_s)))
        starts_s = seen.cold_starts_s()
        measured = Measured(
            alone_s=alone_s,
            cold_start_s=statistics.median(starts_s) if starts_s else 0.0,
            handle_phase=seen.handle_phase(began_s),
            replica_phase=seen.replica_phase(began_s),
        )
        return seen_of(seen.states, began_s, load.duration_s, counted), measured


async def ask(url: str, model: str) -> float:
    """Seconds until the answer."""
    began_s = time.monotonic()
    body = {"model": model, "prompt": "a cat", "size": "64x64"}
    images = f"{url}/v1/images/generations"
    async with aiohttp.ClientSession() as session, session.post(images, json=body) as answer:
        answer.raise_for_status()
        await answer.read()
    return time.monotonic() - began_s


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


def simulated(policy: str, load: Scenario, measured: Measured) -> tuple[Seen, list[Seen]]:
    """At the moment measured, and at others."""
    due = list(calls(load.times() + LEAD_S, load.mix(), load.seed))

    def run(handle_phase: float, replica_phase: float | None) -> Seen:
        service = world(policy, measured)
        end_s = LEAD_S + load.duration_s
        result = simulate(service, due, end_s, load.seed, handle_phase, replica_phase)
        return seen_simulated(result, load.duration_s)

    others = [run(phase / PHASES, None) for phase in range(PHASES)]
    return run(measured.handle_phase, measured.replica_phase), others


def seen_simulated(result: Result, duration_s: float) -> Seen:
    ups, downs = result.scalings["sleeper"]
    replicas = [(max(0.0, at_s - LEAD_S), count) for at_s, count in result.replicas["sleeper"]]
    counted = result.tally()
    p95_ms = counted.total.latency.quantile_ms(0.95) or 0.0
    over_time = [(at_s - LEAD_S, value_ms) for at_s, value_ms in p95_over_time(counted)]
    inside = [point for point in replicas if point[0] <= duration_s]
    return Seen(inside, ups, downs, duration_s, p95_ms, over_time)


def report(life: Seen, simulation: Seen, runs: Sequence[Seen], measured: Measured) -> bool:
    told = (
        f"a request alone takes {measured.alone_s:.2f} s, a replica starts in {measured.cold_start_s:.1f} s, "
    )
    told += f"the handle reports {measured.handle_phase * PUSH_S:.1f} s after the first call is due"
    if measured.replica_phase is not None:
        told += f", the first replica {measured.replica_phase * PUSH_S:.1f} s"
    print(f"{told}\n")
    print(f"{'':18} {'live':>8} {'simulated':>10} {'range':>19} {'difference':>11} {'wanted':>9}")
    met = True
    for name, value, bar in (
        ("replica-seconds", lambda run: run.replica_s, 0.10),
        ("p95 ms", lambda run: run.p95_ms, 0.15),
    ):
        values = [value(run) for run in runs]
        off = value(simulation) / value(life) - 1
        met = met and abs(off) <= bar
        span = f"{min(values):.0f} to {max(values):.0f}"
        print(
            f"{name:18} {value(life):>8.0f} {value(simulation):>10.0f} {span:>19} {off:>+11.1%} {bar:>9.0%}"
        )
    for name, count in (("scale-ups", lambda run: run.ups), ("scale-downs", lambda run: run.downs)):
        counts = [count(run) for run in runs]
        off = count(simulation) - count(life)
        met = met and abs(off) <= 1
        span = f"{min(counts)} to {max(counts)}"
        print(f"{name:18} {count(life):>8} {count(simulation):>10} {span:>19} {off:>+11} {1:>9}")
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
    life, measured = live(options.policy, load)
    simulation, others = simulated(options.policy, load, measured)
    plot(life, simulation, options.plot)
    return report(life, simulation, others, measured)


if __name__ == "__main__":
    sys.exit(0 if main() else 1)

"""Is the load generator to be believed? Against a server whose service times are known.

    python -m benchmarks.loadtest_accuracy [--rate 500] [--seconds 15]

Generator and server are processes of their own, on one core each where there are two. The server notes
how long each request really took it, and can stall for 2 s: then it neither reads nor writes. Prints,
each with its bar: how Poisson the arrivals are (Kolmogorov-Smirnov; a process that sends one call after
the other cannot send two at once, so the gaps between sendings are not judged), the offered rate,
latencies against the server's own, and the stall as an open and as a closed loop see it (the baseline
that hides it).
"""

import argparse
import asyncio
import base64
import json
import multiprocessing
import os
import random
import sys
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection

import numpy as np
from aiohttp import web
from scipy import stats

from loadtests.arrivals import constant, schedule
from loadtests.exchange import open_exchange
from loadtests.observation import Observation
from loadtests.pacing import short_collections
from loadtests.runner import Limits, run_closed_loop, run_open_loop
from loadtests.target import Target
from loadtests.workload import Shot, calls

STALL_S = 2.0
SHOT = Shot("known", ["x"])
IMAGE = base64.b64encode(os.urandom(3000)).decode()
RESPONSE = json.dumps(
    {"data": [{"b64_json": IMAGE}], "atelier": {"route": "known", "model": "sleep"}}
).encode()


def serve(pipe: Connection, core: int | None) -> None:
    """Answers after 0.1 s and more (log-normal). `pipe` takes "stall" and "truth", and gives the address."""
    if core is not None:
        os.sched_setaffinity(0, {core})
    truth_ms: list[float] = []
    rng = random.Random(4)

    async def answer(request: web.Request) -> web.Response:
        began_s = time.perf_counter()
        await request.read()
        await asyncio.sleep(0.08 + rng.lognormvariate(-3.0, 0.8))
        truth_ms.append((time.perf_counter() - began_s) * 1000)
        return web.Response(body=RESPONSE, content_type="application/json")

    async def run() -> None:
        app = web.Application()
        app.router.add_post("/v1/images/generations", answer)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, backlog=4096)
        await site.start()
        pipe.send(f"http://127.0.0.1:{runner.addresses[0][1]}")
        while (word := await asyncio.to_thread(pipe.recv)) != "stop":
            if word == "truth":
                pipe.send(list(truth_ms))
                truth_ms.clear()
            else:
                time.sleep(STALL_S)  # noqa: ASYNC251  stalling the whole server is the point
        await runner.cleanup()

    asyncio.run(run())


async def open_load(url: str, rate: float, seconds: float, seed: int) -> list[Observation]:
    seen: list[Observation] = []
    due = list(calls(schedule(constant(rate, seconds), seed=seed), [SHOT]))
    async with open_exchange(Target(url), timeout_s=30) as exchange:
        with short_collections():
            await run_open_loop(due, exchange, seen.append, Limits(max_in_flight=20_000))
    return sorted(seen, key=lambda each: each.call.index)


async def closed_load(url: str, clients: int, seconds: float) -> list[Observation]:
    seen: list[Observation] = []
    due = calls(np.zeros(1_000_000), [SHOT])
    async with open_exchange(Target(url), timeout_s=30) as exchange:
        await run_closed_loop(due, exchange, seen.append, clients=clients, duration_s=seconds)
    return seen


def sent_at_s(seen: Sequence[Observation]) -> np.ndarray:
    return np.sort([each.call.at_s + each.late_ms / 1000 for each in seen])


def steady(url: str, pipe: Connection, rate: float, seconds: float) -> bool:
    asyncio.run(open_load(url, rate / 5, 2, seed=1))  # connections and code are warm after this
    pipe.send("truth")
    pipe.recv()
    cpu_s = time.process_time()
    seen = asyncio.run(open_load(url, rate, seconds, seed=2))
    cpu_s = time.process_time() - cpu_s
    pipe.send("truth")
    truth_ms = np.array(pipe.recv())
    latencies = np.array([each.latency_ms for each in seen])
    sent = sent_at_s(seen)
    expected = len(schedule(constant(rate, seconds), seed=2)) / seconds
    gaps = np.diff([each.call.at_s for each in seen])
    due_p = float(stats.kstest(gaps, "expon", args=(0, 1 / rate)).pvalue)
    sent_p = float(stats.kstest(sent, "uniform", args=(0, seconds)).pvalue)
    rows: list[tuple[str, float, str]] = [
        ("gaps between calls due, exponential: p", due_p, "> 0.01, Kolmogorov-Smirnov"),
        ("moments of sending, uniform: p", sent_p, "> 0.01, Kolmogorov-Smirnov"),
        ("offered, requests/s", len(sent) / seconds, f"{expected:.1f} scheduled, within 1%"),
        ("late p99, ms", float(np.quantile([each.late_ms for each in seen], 0.99)), "-"),
        ("generator CPU, us a request", cpu_s / len(seen) * 1e6, "-"),
    ]
    good = min(due_p, sent_p) > 0.01 and abs(len(sent) / seconds / expected - 1) <= 0.01
    good &= all(each.answer.ok for each in seen)
    for q in (0.5, 0.99):
        measured, true = (float(np.quantile(values, q)) for values in (latencies, truth_ms))
        allowed = max(0.02 * true, 1.0)
        rows.append((f"latency p{100 * q:g}, ms", measured, f"{true:.2f} in truth, within {allowed:.2f}"))
        good &= abs(measured - true) <= allowed
    print_table(f"{rate:g} requests/s for {seconds:g} s", rows, good)
    return good


def stalled(url: str, pipe: Connection, rate: float, seconds: float = 8.0) -> bool:
    """In a stall of S seconds, rate * S/2 calls wait longer than S/2, more while it catches up."""

    async def with_stall(load: asyncio.Task[list[Observation]]) -> list[Observation]:
        await asyncio.sleep(3.0)
        pipe.send("stall")
        return await load

    async def open_loop() -> list[Observation]:
        return await with_stall(asyncio.create_task(open_load(url, rate, seconds, seed=3)))

    async def closed_loop() -> list[Observation]:
        return await with_stall(
            asyncio.create_task(closed_load(url, clients=max(1, int(rate * 0.15)), seconds=seconds))
        )

    opened, closed = asyncio.run(open_loop()), asyncio.run(closed_loop())
    waited = sum(each.latency_ms > 1000 * STALL_S / 2 for each in opened)
    slowest_s = max(each.latency_ms for each in opened) / 1000
    good = slowest_s >= STALL_S and waited >= 0.98 * rate * STALL_S / 2
    hidden = sum(each.latency_ms > 1000 * STALL_S / 2 for each in closed)
    rows = [
        ("slowest, s (open loop)", slowest_s, f">= {STALL_S:g}"),
        ("calls held more than 1 s (open loop)", float(waited), f">= {rate * STALL_S / 2:.0f}"),
        ("share of calls held, % (open loop)", 100 * waited / len(opened), "-"),
        ("share of calls held, % (closed loop)", 100 * hidden / len(closed), "the baseline"),
    ]
    print_table(f"a stall of {STALL_S:g} s at {rate:g} requests/s", rows, good)
    return good


def print_table(title: str, rows: Sequence[tuple[str, float, str]], good: bool) -> None:
    print(f"\n{title}: {'ok' if good else 'NOT MET'}")
    for name, value, bar in rows:
        print(f"  {name:38} {value:10.3f}   {bar}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rate", type=float, default=500.0)
    parser.add_argument("--seconds", type=float, default=15.0)
    options = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    server_core = cores[1] if len(cores) > 1 else None
    server = multiprocessing.get_context("spawn").Process(
        target=serve, args=(theirs, server_core), daemon=True
    )
    server.start()
    os.sched_setaffinity(0, {cores[0]})
    url = ours.recv()
    try:
        good = steady(url, ours, options.rate, options.seconds)
        good &= stalled(url, ours, options.rate)
    finally:
        ours.send("stop")
        server.join(5)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()

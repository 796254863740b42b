"""A hundred policy changes under load, every tenth broken: does any request notice?

Two router processes follow one policy file, each the whole HTTP application with echo models in its process
(Ray's proxy would be the bottleneck on two cores, and has no part in a reload). 200 requests a second, half
to each, while the file is replaced again and again; each router is asked which version is in force until it
is the new one. Texts that must never be in force are broken in several ways. Baseline: the same load without
changes.
"""

import asyncio
import itertools
import multiprocessing
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import uvicorn
from rich.table import Table

from benchmarks.known_load import arrivals_s, free_port, offer, quantile_ms, together
from benchmarks.tables import show
from deployments.client import LocalModelClient
from deployments.fakes import EchoModel, EchoSpec
from loadtests.observation import Observation
from routing.policy import text_version
from serve.config import parse_config
from serve.gateway import Gateway

RATE, RELOADS, BROKEN_EVERY, INTERVAL_S = 200.0, 100, 10, 0.4
IN_FORCE_MAX_S = 1.0
BROKEN = (
    "default: {model: nobody}\n",
    "default: {model: m\n",
    "default: {model: m, max_latency_ms: soon}\n",
    "model_routing: [{pattern: '(', model: m}]\n",
    "default: {model: m}\ndefault: {model: m}\n",
)


def text_of(number: int) -> str:
    return f"default: {{model: m, max_latency_ms: {10_000 + number}}}\n"


def put(policy: Path, text: str) -> None:
    replacement = policy.with_suffix(".new")
    replacement.write_text(text)
    replacement.replace(policy)


def serve(policy: Path, port: int) -> None:
    model = {"kind": "echo", "latency_ms": 20, "max_ongoing_requests": 100}
    config = parse_config({"models": {"m": model}, "policy": {"path": str(policy), "reload_interval_s": 0.2}})
    echo = EchoModel("m", EchoSpec.model_validate(model))
    gateway = Gateway(config, {"m": LocalModelClient("m", echo.render, echo.load_report)})
    uvicorn.run(gateway.app, host="127.0.0.1", port=port, log_level="critical")


@contextmanager
def routers(policy: Path, count: int) -> Iterator[list[str]]:
    ports = [free_port() for _ in range(count)]
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=serve, args=(policy, port), daemon=True) for port in ports]
    for process in processes:
        process.start()
    try:
        urls = [f"http://127.0.0.1:{port}" for port in ports]
        asyncio.run(ready(urls))
        yield urls
    finally:
        for process in processes:
            process.terminate()
            process.join()


async def ready(urls: list[str]) -> None:
    async with aiohttp.ClientSession() as session:
        for url in urls:
            for _ in range(300):
                try:
                    async with session.get(f"{url}/readyz") as answer:
                        if answer.status == 200:
                            break
                except aiohttp.ClientError:
                    pass
                await asyncio.sleep(0.1)


async def load(urls: list[str], seconds: float, seed: int) -> list[Observation]:
    each = int(RATE * seconds / len(urls))
    seen = await together(
        *(offer(url, arrivals_s(RATE / len(urls), each, seed + n), None) for n, url in enumerate(urls))
    )
    return list(itertools.chain(*seen))


async def change(policy: Path, urls: list[str]) -> tuple[list[float], list[str]]:
    """Seconds until each good version was in force on every router, and what went wrong."""
    in_force_s, wrong = [], []
    broken = itertools.cycle(BROKEN)
    async with aiohttp.ClientSession() as session:
        for number in range(1, RELOADS + 1):
            is_broken = number % BROKEN_EVERY == 0
            text = next(broken) if is_broken else text_of(number)
            before = text_version(text_of(number - 1))
            put(policy, text)
            began_s = time.perf_counter()
            if is_broken:
                wrong += await refused(session, urls, text, before, began_s)
                put(policy, text_of(number))
            took_s = await until_in_force(session, urls, text_version(text_of(number)))
            if took_s is None:
                wrong.append(f"version {number} was not in force")
            elif not is_broken:
                in_force_s.append(time.perf_counter() - began_s)
            await asyncio.sleep(max(0.0, INTERVAL_S - (time.perf_counter() - began_s)))
    return in_force_s, wrong


async def until_in_force(session: aiohttp.ClientSession, urls: list[str], version: str) -> float | None:
    began_s = time.perf_counter()
    while time.perf_counter() - began_s < 10:
        states = [await policy_state(session, url) for url in urls]
        if all(state["version"] == version for state in states):
            return time.perf_counter() - began_s
        await asyncio.sleep(0.02)
    return None


async def refused(
    session: aiohttp.ClientSession, urls: list[str], text: str, before: str, began_s: float
) -> list[str]:
    """Waits until every router has refused the text; a broken version in force is wrong."""
    while time.perf_counter() - began_s < 10:
        states = [await policy_state(session, url) for url in urls]
        if any(state["version"] != before for state in states):
            return [f"a broken version came into force: {text!r}"]
        if all(state["refused"] for state in states):
            return []
        await asyncio.sleep(0.02)
    return [f"a broken version was not refused: {text!r}"]


async def policy_state(session: aiohttp.ClientSession, url: str) -> dict[str, object]:
    async with session.get(f"{url}/v1/policy") as answer:
        state: dict[str, object] = await answer.json()
        return state


def main() -> bool:
    """Prints the table; True when no request failed and every version was in force within a second."""
    with tempfile.TemporaryDirectory() as folder:
        policy = Path(folder) / "policy.yaml"
        policy.write_text(text_of(0))
        with routers(policy, 2) as urls:
            asyncio.run(load(urls, 3, seed=90))
            seconds = RELOADS * INTERVAL_S * 1.5
            still = asyncio.run(load(urls, seconds / 2, seed=10))

            async def both() -> tuple[list[Observation], tuple[list[float], list[str]]]:
                seen, changed = await together(load(urls, seconds, seed=20), change(policy, urls))
                return seen, changed

            seen, (in_force_s, wrong) = asyncio.run(both())
    failed = sum(not each.answer.ok for each in seen)
    table = Table(title=f"{RATE:.0f} requests/s to two routers, {RELOADS} policy changes, every tenth broken")
    for column in ("", "requests", "failed", "p50 ms", "p99 ms", "in force everywhere, slowest", "wrong"):
        table.add_column(column)
    for name, runs, slowest, count in (
        ("no changes (baseline)", still, "", ""),
        ("policy changes", seen, f"{max(in_force_s):.2f} s of {len(in_force_s)}", f"{len(wrong)}"),
    ):
        bad = sum(not each.answer.ok for each in runs)
        latencies = (f"{quantile_ms(runs, q):.1f}" for q in (0.5, 0.99))
        table.add_row(name, f"{len(runs)}", f"{bad}", *latencies, slowest, count)
    table.add_row("bar", "", "0", "", "", f"<= {IN_FORCE_MAX_S:.0f} s", "0")
    show(table)
    for line in wrong:
        print(line)
    return failed == 0 and not wrong and max(in_force_s) <= IN_FORCE_MAX_S


if __name__ == "__main__":
    raise SystemExit(not main())

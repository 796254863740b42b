"""What interactive requests feel of a batch beside them.

    python -m benchmarks batch_interactive

A router in a process of its own, without Ray, in front of a model that answers in exactly 100 ms, 8 requests
at a time. Interactive requests come at random (Poisson) to a quarter of what it can do. Their p99 is measured
alone (the baseline), beside a batch on the server, beside `atelier batch`, and, to see what the priority is
worth, beside the same items sent as interactive requests. Each round measures all of them, with the same
arrivals; the median of the rounds' ratios counts.
"""

import contextlib
import json
import multiprocessing
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import openai
import uvicorn
from rich.table import Table

from benchmarks.tables import show
from deployments.client import LocalModelClient
from deployments.fakes import EchoModel, EchoSpec
from loadtests.scenario import Scenario
from loadtests.session import run_session
from loadtests.target import Target
from serve.config import parse_config
from serve.gateway import Gateway

SERVICE_MS = 100.0
PLACES = 8
LOAD_RATIO = 0.25
ROUND_S = 15.0
WARM_UP_S = 2.0
ROUNDS = 3
ITEMS = 3000
P99_RATIO_MAX = 1.3


def serve(pipe: Connection, folder: str) -> None:
    """Sends its port once it listens."""
    spec = {
        "kind": "echo",
        "latency_ms": SERVICE_MS,
        "concurrency": PLACES,
        "max_ongoing_requests": PLACES,
        "max_queued_requests": 1000,
    }
    model = EchoModel("echo", EchoSpec.model_validate(spec))
    config = parse_config(
        {
            "models": {"echo": spec},
            "policy": {"text": "model_routing: [{pattern: '.*', model: echo}]"},
            "batches": {"folder": folder},
            "cache": {"max_bytes": 0},
        }
    )
    gateway = Gateway(config, {"echo": LocalModelClient("echo", model.render, model.load_report)})
    with socket.create_server(("127.0.0.1", 0)) as listening:
        pipe.send(listening.getsockname()[1])
        uvicorn.Server(uvicorn.Config(gateway.app, log_level="warning")).run([listening])


@contextmanager
def served() -> Iterator[str]:
    """The address of a server of its own."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    with tempfile.TemporaryDirectory() as folder:
        process = context.Process(target=serve, args=(theirs, folder), daemon=True)
        process.start()
        try:
            yield f"http://127.0.0.1:{ours.recv()}"
        finally:
            process.kill()
            process.join()


@contextmanager
def nothing(url: str) -> Iterator[None]:
    yield


@contextmanager
def server_batch(url: str) -> Iterator[None]:
    with openai.OpenAI(api_key="none", base_url=f"{url}/v1") as client:
        lines = [
            {"custom_id": str(index), "method": "POST", "url": "/v1/images/generations", "body": body(index)}
            for index in range(ITEMS)
        ]
        content = "\n".join(map(json.dumps, lines)).encode()
        file = client.files.create(file=("items.jsonl", content), purpose="batch")
        batch = client.batches.create(
            input_file_id=file.id, endpoint="/v1/images/generations", completion_window="24h"
        )
        while client.batches.retrieve(batch.id).status != "in_progress":
            time.sleep(0.1)
        yield
        client.batches.cancel(batch.id)


def client_batch(priority: str) -> Callable[[str], AbstractContextManager[None]]:
    @contextmanager
    def running(url: str) -> Iterator[None]:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "items.jsonl"
            rows = [{"id": str(index), **body(index, priority=priority)} for index in range(ITEMS)]
            path.write_text("\n".join(map(json.dumps, rows)))
            program = [sys.executable, "-c", "from serve.cli import main; main()", "batch"]
            options = [str(path), "--out", f"{folder}/out", "--url", url]
            with open(os.devnull, "w") as silent:
                process = subprocess.Popen([*program, *options], stderr=silent)
                manifest = Path(folder) / "out" / "manifest.jsonl"
                while not manifest.exists() or not manifest.stat().st_size:
                    time.sleep(0.1)
                yield
                process.send_signal(signal.SIGINT)
                process.wait()

    return running


def body(index: int, **options: Any) -> dict[str, Any]:
    return {"prompt": f"an icon {index}", "size": "16x16", "atelier": {"seed": index, **options}}


BESIDE: dict[str, Callable[[str], AbstractContextManager[None]]] = {
    "alone (baseline)": nothing,
    "a batch on the server": server_batch,
    "atelier batch": client_batch("batch"),
    "atelier batch, sent as interactive": client_batch("interactive"),
}
JUDGED = ("a batch on the server", "atelier batch")


def load(duration_s: float, seed: int) -> Scenario:
    rps = LOAD_RATIO * PLACES / (SERVICE_MS / 1000)
    return Scenario.model_validate(
        {
            "name": "interactive",
            "shots": [{"name": "icon", "prompts": ["an icon"], "size": "16x16"}],
            "arrivals": [{"kind": "constant", "rps": rps, "duration_s": duration_s}],
            "seed": seed,
        }
    )


def interactive_p50_p99_ms(url: str, seed: int) -> tuple[float, float]:
    run_session(load(WARM_UP_S, seed), Target(url))
    counted, _ = run_session(load(ROUND_S, seed), Target(url))
    assert counted.total.ok == counted.total.offered, "interactive requests failed"
    p50, p99 = (counted.total.latency.quantile_ms(q) for q in (0.5, 0.99))
    assert p50 is not None
    assert p99 is not None
    return p50, p99


def main() -> bool:
    """Prints the table; True when both ways of batch rendering keep the bar."""
    measured: dict[str, list[tuple[float, float]]] = {name: [] for name in BESIDE}
    for round_ in range(ROUNDS):
        for name, beside in BESIDE.items():
            with served() as url, contextlib.ExitStack() as stack:
                stack.enter_context(beside(url))
                measured[name].append(interactive_p50_p99_ms(url, seed=round_))
    alone = [p99 for _, p99 in measured["alone (baseline)"]]
    title = f"Interactive requests at {LOAD_RATIO:.0%} of {PLACES} places, {SERVICE_MS:.0f} ms each"
    table = Table("beside", "p50 ms", "p99 ms", f"p99 ratio (bar: {P99_RATIO_MAX})", title=title)
    met = True
    for name, rounds in measured.items():
        ratio = statistics.median(p99 / base for (_, p99), base in zip(rounds, alone, strict=True))
        met = met and (name not in JUDGED or ratio <= P99_RATIO_MAX)
        p50, p99 = (statistics.median(column) for column in zip(*rounds, strict=True))
        table.add_row(name, f"{p50:.1f}", f"{p99:.1f}", f"{ratio:.2f}")
    show(table)
    return met


if __name__ == "__main__":
    sys.exit(not main())

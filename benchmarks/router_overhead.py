"""What the router costs: Atelier in front of an echo model against a bare two-deployment Ray Serve app.

Both run in one Ray, behind one proxy, with the same deployment options; the bare app's ingress parses the
JSON body, calls the same echo model once and answers base64. Rounds alternate, so that a machine whose
speed drifts treats both alike; the medians of the rounds' figures are compared.
"""

import asyncio
import base64
import socket
import statistics
import time
from dataclasses import dataclass
from typing import Any

import aiohttp
from ray import serve as ray_serve
from rich.console import Console
from rich.table import Table
from starlette.requests import Request
from starlette.responses import JSONResponse

from benchmarks.tables import show
from deployments.bind import EAGER_ROUTING, QUIET, bind_model
from deployments.fakes import EchoSpec
from deployments.telemetry import ProcessTelemetry
from deployments.types import EncodedImage, Encoding, RenderRequest
from serve.cli.local import serving
from serve.config import parse_config

ROUNDS = 5
SEQUENTIAL_REQUESTS = 150
CONCURRENCY = 32
CONCURRENT_REQUESTS = 600
P50_RATIO_MAX = 1.3
THROUGHPUT_RATIO_MIN = 0.75

ECHO: dict[str, Any] = {"kind": "echo", "num_cpus": 0.1, "max_ongoing_requests": 100}
BODY = {"prompt": "a poster", "size": "16x16", "atelier": {"seed": 1}}


class BareIngress:
    """The least that can be called a gateway."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle.options(method_name="render")

    async def __call__(self, request: Request) -> JSONResponse:
        body = await request.json()
        width, height = (int(side) for side in body["size"].split("x"))
        render = RenderRequest(
            "bare", body["prompt"], width, height, body["atelier"]["seed"], encoding=Encoding()
        )
        result = await self._handle.remote(render)
        assert isinstance(result.image, EncodedImage)
        return JSONResponse({"data": [{"b64_json": base64.b64encode(result.image.data).decode()}]})


@dataclass(frozen=True, slots=True)
class Figures:
    p50_ms: float
    p99_ms: float
    requests_per_s: float


async def measure(url: str) -> Figures:
    connector = aiohttp.TCPConnector(limit=CONCURRENCY)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def call() -> float:
            started = time.perf_counter()
            async with session.post(url, json=BODY) as answer:
                assert answer.status == 200, await answer.text()
                await answer.read()
            return (time.perf_counter() - started) * 1000

        for _ in range(20):
            await call()
        latencies = sorted([await call() for _ in range(SEQUENTIAL_REQUESTS)])
        left = iter(range(CONCURRENT_REQUESTS))

        async def worker() -> None:
            for _ in left:
                await call()

        started = time.perf_counter()
        await asyncio.gather(*(worker() for _ in range(CONCURRENCY)))
        elapsed_s = time.perf_counter() - started
    return Figures(
        statistics.median(latencies),
        latencies[int(len(latencies) * 0.99)],
        CONCURRENT_REQUESTS / elapsed_s,
    )


def start_bare_app() -> None:
    echo = bind_model("echo", EchoSpec.model_validate(ECHO), ProcessTelemetry())
    ingress = ray_serve.deployment(
        name="bare",
        ray_actor_options={"num_cpus": 0.1},
        max_ongoing_requests=256,
        request_router_config=EAGER_ROUTING,
        logging_config=QUIET,
    )(BareIngress)
    ray_serve.run(ingress.bind(echo), name="bare", route_prefix="/bare")


def main() -> bool:
    """Prints the table; True when both bars are met."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    policy = "model_routing: [{pattern: '.*poster.*', model: echo, max_latency_ms: 20000}]"
    config = parse_config({"models": {"echo": ECHO}, "policy": {"text": policy}, "router": {"num_cpus": 0.1}})
    with serving(config, "127.0.0.1", port, Console(quiet=True)):
        start_bare_app()
        rounds: dict[str, list[Figures]] = {"bare": [], "atelier": []}
        for _ in range(ROUNDS):
            rounds["bare"].append(asyncio.run(measure(f"http://127.0.0.1:{port}/bare")))
            url = f"http://127.0.0.1:{port}/v1/images/generations"
            rounds["atelier"].append(asyncio.run(measure(url)))
    bare, ours = (median_of(rounds[name]) for name in ("bare", "atelier"))
    table = Table("", "p50 ms, c=1", "p99 ms, c=1", f"requests/s, c={CONCURRENCY}", title="Router overhead")
    table.add_row("bare Ray Serve: ingress, echo (baseline)", *cells(bare))
    table.add_row("Atelier: router, echo", *cells(ours))
    p50_ratio = ours.p50_ms / bare.p50_ms
    throughput_ratio = ours.requests_per_s / bare.requests_per_s
    table.add_row(
        "ratio (bar)",
        f"{p50_ratio:.2f} (<= {P50_RATIO_MAX})",
        f"{ours.p99_ms / bare.p99_ms:.2f}",
        f"{throughput_ratio:.2f} (>= {THROUGHPUT_RATIO_MIN})",
    )
    show(table)
    return p50_ratio <= P50_RATIO_MAX and throughput_ratio >= THROUGHPUT_RATIO_MIN


def median_of(rounds: list[Figures]) -> Figures:
    return Figures(
        statistics.median(each.p50_ms for each in rounds),
        statistics.median(each.p99_ms for each in rounds),
        statistics.median(each.requests_per_s for each in rounds),
    )


def cells(figures: Figures) -> tuple[str, str, str]:
    return f"{figures.p50_ms:.2f}", f"{figures.p99_ms:.2f}", f"{figures.requests_per_s:.0f}"


if __name__ == "__main__":
    main()

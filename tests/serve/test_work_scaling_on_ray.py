"""A model on a real Ray Serve scales by the work that its replicas report, and back."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import httpx2
import pytest
from rich.console import Console

from serve.cli.local import serving
from serve.config import parse_config

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

# By requests (a million a replica) or by what a request is first taken to cost, one replica would do.
MODEL = {
    "kind": "echo",
    "num_cpus": 0.1,
    "latency_ms": 1000,
    "concurrency": 1,
    "graceful_shutdown_timeout_s": 1,
    "autoscaling": {
        "min_replicas": 1,
        "max_replicas": 3,
        "target_ongoing_requests": 1_000_000,
        "look_back_period_s": 11,
        "upscale_delay_s": 0,
        "downscale_delay_s": 1,
    },
    "work_scaling": {"target_work_s": 6, "request_work_s": 0.001, "smoothing_s": 5},
}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = parse_config(
        {
            "models": {"busy": MODEL},
            "policy": {
                "text": "model_routing: []\ndefault: {model: busy}\ntenants: {'*': {concurrency: 1000}}\n"
            },
            "router": {"num_cpus": 0.1, "load_poll_interval_s": 0.2},
        }
    )
    with serving(config, "127.0.0.1", port, Console(quiet=True), ready_timeout_s=240):
        yield f"http://127.0.0.1:{port}"


async def test_replicas_follow_the_work(url: str) -> None:
    async with httpx2.AsyncClient(base_url=url, timeout=120) as client:
        assert await replicas(client) == 1
        async with kept_busy(client, calls=24):
            await until(client, 3)
        await until(client, 1)


@asynccontextmanager
async def kept_busy(client: httpx2.AsyncClient, calls: int) -> AsyncIterator[None]:
    """So many calls are open at any time."""

    async def call_on() -> None:
        while True:
            await client.post("/v1/images/generations", json={"prompt": "a cat", "size": "64x64"})

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(call_on()) for _ in range(calls)]
        yield
        for task in tasks:
            task.cancel()


async def until(client: httpx2.AsyncClient, count: int) -> None:
    async with asyncio.timeout(90):
        while True:
            if await replicas(client) == count:
                return
            await asyncio.sleep(0.2)


async def replicas(client: httpx2.AsyncClient) -> int:
    return int((await client.get("/v1/fleet")).json()["models"]["busy"]["replicas"])

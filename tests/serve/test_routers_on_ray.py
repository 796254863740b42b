"""Several routers on a real Ray Serve: what one learns the others know, and one may die."""

import asyncio
import os
import signal
import socket
from collections.abc import Iterator, Sequence

import httpx2
import pytest
from rich.console import Console

from serve.cli.local import serving
from serve.config import parse_config
from serve.peers import RouterState

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SMALL = {"kind": "echo", "num_cpus": 0.1, "graceful_shutdown_timeout_s": 1}
POLICY = """
model_routing: []
default: {model: faulty, fallback: [steady], max_latency_ms: 20000}
tenants: {"*": {concurrency: 1000}}
"""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = parse_config(
        {
            "models": {"faulty": {**SMALL, "fails_with": "model_error"}, "steady": SMALL},
            "policy": {"text": POLICY},
            "router": {
                "num_cpus": 0.1,
                "load_poll_interval_s": 0.2,
                "autoscaling": {"min_replicas": 2, "max_replicas": 2},
            },
        }
    )
    with serving(config, "127.0.0.1", port, Console(quiet=True), ready_timeout_s=240):
        yield f"http://127.0.0.1:{port}"


async def test_feedback_may_be_given_to_any_router(url: str) -> None:
    async with httpx2.AsyncClient(base_url=url, timeout=30) as client:
        answer = await client.post("/v1/images/generations", json={"prompt": "a cat", "size": "64x64"})
        said = {"receipt_id": answer.json()["atelier"]["request_id"], "verdict": "fixed", "minutes": 6}
        answers = [(await client.post("/v1/feedback", json=said)).status_code for _ in range(8)]
        rates = [(await client.get("/v1/experiments")).json()["rates"] for _ in range(8)]
    assert answers == [202] * 8
    assert [(each["count"], each["fixed"]) for [each] in rates] == [(1, 1)] * 8


async def test_a_router_is_killed_and_what_it_found_out_lives_on(url: str) -> None:
    async with httpx2.AsyncClient(base_url=url, timeout=30) as client:
        async with asyncio.timeout(60):
            while not (finders := [state for state in await states() if state.broken_s]):
                await render(client)
        async with asyncio.timeout(10):
            while {(await breaker(client)) for _ in range(8)} != {"open"}:
                pass  # the other router has not asked yet
        os.kill(int(finders[0].router.split("/")[1]), signal.SIGKILL)
        outcomes = [await render(client) for _ in range(40)]
    assert outcomes.count("steady") >= 39, "at most the request that met the dying router is lost"
    assert outcomes[-20:] == ["steady"] * 20


async def states() -> Sequence[RouterState]:
    from ray import serve as ray_serve

    handle = ray_serve.get_deployment_handle("router", "atelier")
    return [each for each in await handle.broadcast("state").results_async() if isinstance(each, RouterState)]


async def render(client: httpx2.AsyncClient) -> str:
    answer = await client.post("/v1/images/generations", json={"prompt": "a cat", "size": "64x64"})
    return str(answer.json()["atelier"]["model"]) if answer.status_code == 200 else answer.text


async def breaker(client: httpx2.AsyncClient) -> str:
    return str((await client.get("/v1/fleet")).json()["models"]["faulty"]["breaker"])

"""A model on a real Ray Serve that does not fit its share: said once and clearly, while the others serve."""

import re
import socket
import threading
import time
from collections.abc import Iterator

import click
import httpx2
import pytest
from ray import serve as ray_serve
from ray.serve.schema import DeploymentStatusOverview
from rich.console import Console

from deployments.diffusion.tiny import build_tiny
from serve.cli import local
from serve.config import parse_config

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

MODEL = "painter"
POLICY = f"""
model_routing:
  - pattern: ".*poster.*"
    model: {MODEL}
    fallback: [steady]
    max_latency_ms: 30000
  - pattern: ".*only.*"
    model: {MODEL}
default: {{model: steady}}
"""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of the application, once Ray Serve has given the model up."""
    weights = tmp_path_factory.mktemp("weights") / "tiny"
    build_tiny("sd", weights)
    small = {"num_cpus": 0.1, "graceful_shutdown_timeout_s": 1}
    painter = {"kind": "diffusion", "weights": str(weights), "memory_bytes": 64 << 10, **small}
    config = parse_config(
        {
            "models": {MODEL: painter, "steady": {"kind": "echo", **small}},
            "policy": {"text": POLICY},
            "router": {"num_cpus": 0.1, "load_poll_interval_s": 0.2},
        }
    )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    dont_wait = threading.Event()
    dont_wait.set()
    with local.serving(config, "127.0.0.1", port, Console(quiet=True), stop=dont_wait):
        give_up = time.monotonic() + 120
        while deployment(MODEL).status != "DEPLOY_FAILED" or deployment("router").status != "HEALTHY":
            assert time.monotonic() < give_up, deployment(MODEL)
            time.sleep(0.5)
        yield f"http://127.0.0.1:{port}"


def deployment(name: str) -> DeploymentStatusOverview:
    return ray_serve.status().applications[local.APPLICATION].deployments[name]


def test_the_command_ends_with_one_line_that_says_what_to_do(url: str) -> None:
    with pytest.raises(click.ClickException) as caught:
        local._wait_until_ready(url, Console(quiet=True), 60, threading.Event())
    assert re.fullmatch(
        rf"the application could not start: {MODEL}: the weights take [\d.]+ MiB, and the replica's share "
        r"of the host's memory \(memory_bytes\) is 0\.1 MiB of which 10% is kept for the work: "
        r"raise memory_bytes, or choose a smaller dtype",
        caught.value.message,
    )


def test_it_is_not_started_again_and_again(url: str) -> None:
    """Ray Serve ends it after three tries: no replica is left, and none comes."""
    given_up = deployment(MODEL)
    assert "failed to start 3 times in a row" in given_up.message
    time.sleep(3)
    assert deployment(MODEL).message == given_up.message
    assert not given_up.replica_states


async def test_the_others_serve_and_routes_fall_back(url: str) -> None:
    prompts = {"a poster": 200, "anything else": 200, "this one only": 429}
    async with httpx2.AsyncClient(base_url=url, timeout=60) as client:
        answers = {
            prompt: await client.post("/v1/images/generations", json={"prompt": prompt, "size": "64x64"})
            for prompt in prompts
        }
        ready = await client.get("/readyz")
        fleet = (await client.get("/v1/fleet")).json()["models"]
    assert {prompt: answer.status_code for prompt, answer in answers.items()} == prompts
    assert answers["a poster"].json()["atelier"]["substituted"] is True
    assert MODEL in answers["this one only"].json()["error"]["message"]
    assert "Traceback" not in answers["this one only"].text
    assert (ready.status_code, ready.json()["models_without_replica"]) == (503, [MODEL])
    assert {name: model["up"] for name, model in fleet.items()} == {MODEL: False, "steady": True}

"""The application on a real Ray Serve, spoken to by the official client."""

import asyncio
import os
import signal
import socket
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
from rich.console import Console

from deployments.diffusion.tiny import build_tiny
from serve import telemetry
from serve.cli.local import metrics_url, serving
from serve.config import parse_config
from serve.proxies import NoHAProxy, Proxy, check
from tests.otlp import Receiver, receiver
from tests.serve.gateways import SEED_POLICY

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

FRAGILE = f"fragile-{uuid.uuid4().hex[:8]}"

POLICY = f"""
{SEED_POLICY}
  - pattern: ".*upscaled.*"
    stages: [diffusion, upscale_2x]
    max_latency_ms: 60000
  - pattern: ".*big.*"
    model: greedy
    fallback: [steady]
  - pattern: ".*fragile.*"
    model: {FRAGILE}
    fallback: [steady]
    max_latency_ms: 30000
  - pattern: ".*crowded.*"
    model: narrow
    max_latency_ms: 5000
default: {{model: steady}}
"""


@dataclass(frozen=True, slots=True)
class App:
    url: str
    spans: Receiver
    policy: Path

    def client(self) -> openai.AsyncOpenAI:
        return openai.AsyncOpenAI(api_key="none", base_url=f"{self.url}/v1", max_retries=0)


@pytest.fixture(scope="module", params=Proxy)
def app(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[App]:
    try:
        check(request.param)
    except NoHAProxy as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("app")
    build_tiny("sd", folder / "tiny")
    policy = folder / "policy.yaml"
    policy.write_text(POLICY)
    small = {"num_cpus": 0.1, "graceful_shutdown_timeout_s": 1}
    with receiver() as spans, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        config = parse_config(
            {
                "models": {
                    "typography_focused": {"kind": "typesetter", **small},
                    "creative_highfidelity": {"kind": "echo", **small},
                    "diffusion": {
                        "kind": "diffusion",
                        "weights": str(folder / "tiny"),
                        "default_width": 64,
                        "default_height": 64,
                        "default_steps": 3,
                        **small,
                    },
                    "upscale_2x": {"kind": "upscaler", **small},
                    "greedy": {"kind": "echo", "fails_with": "torch_out_of_memory", **small},
                    FRAGILE: {"kind": "echo", "latency_ms": 2000, **small},
                    "narrow": {
                        "kind": "echo",
                        "latency_ms": 400,
                        "max_ongoing_requests": 1,
                        "max_queued_requests": 1,
                        "concurrency": 1,
                        **small,
                    },
                    "endless": {"kind": "echo", "fails_with": "hang", **small},
                    "steady": {"kind": "echo", **small},
                },
                "policy": {"path": str(policy), "reload_interval_s": 0.1},
                "router": {"num_cpus": 0.1, "load_poll_interval_s": 0.2},
                "telemetry": {"otlp_endpoint": spans.endpoint},
            }
        )
        with serving(config, "127.0.0.1", port, Console(quiet=True), 240, proxy=request.param):
            yield App(f"http://127.0.0.1:{port}", spans, policy)


def receipt_of(images: Any) -> Any:
    return images.model_extra["atelier"]


async def test_the_official_client_gets_a_badge_a_poster_and_the_models(app: App) -> None:
    client = app.client()
    badge = await client.images.generate(
        prompt='a green ui-badge that says "SALE 50%"',
        size="256x128",
        extra_body={"atelier": {"asset": "ui-badge", "max_latency_ms": 300}},
    )
    poster = await client.images.generate(prompt="a poster of a fox")
    assert receipt_of(badge)["model"] == "typography_focused"
    assert receipt_of(poster)["model"] == "creative_highfidelity"
    names = [model.id async for model in client.models.list()]
    assert {"auto", "typography_focused", "diffusion"} <= set(names)


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"model": "no-such-model"}, 404, "model_not_found"),
        ({"prompt": ""}, 400, "empty_prompt"),
        ({"prompt": "x" * 5000}, 400, "prompt_too_long"),
        ({"n": 100}, 400, "invalid_n"),
        ({"size": "large"}, 400, "invalid_size"),
    ],
)
async def test_errors_reach_the_official_client(
    app: App, fields: dict[str, Any], status: int, code: str
) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        await app.client().images.generate(**{"prompt": "a poster", **fields})
    assert (caught.value.status_code, caught.value.code) == (status, code)


async def test_what_is_not_json_and_what_is_too_large(app: App) -> None:
    async with httpx2.AsyncClient(base_url=app.url) as client:
        broken = await client.post(
            "/v1/images/generations", content=b"{", headers={"content-type": "application/json"}
        )
        large = await client.post("/v1/images/generations", content=b" " * (21 * 1024 * 1024))
    assert (broken.status_code, broken.json()["error"]["code"]) == (400, "invalid_json")
    assert (large.status_code, large.json()["error"]["code"]) == (413, "body_too_large")


async def test_torch_s_out_of_memory_is_answered_by_the_next_candidate(app: App) -> None:
    images = await app.client().images.generate(prompt="something big")
    receipt = receipt_of(images)
    assert receipt["model"] == "steady"
    assert receipt["substituted"]
    assert [each["outcome"] for each in receipt["images"][0]["substitutions"]] == ["out_of_memory"]


async def test_a_killed_replica_is_not_seen_by_callers(app: App) -> None:
    pid = replica_pid(FRAGILE)
    calls = [
        asyncio.create_task(
            app.client().images.generate(prompt="fragile", extra_body={"atelier": {"seed": n}})
        )
        for n in range(6)
    ]
    await at_work(app, FRAGILE, 6)
    os.kill(pid, signal.SIGKILL)
    receipts = [receipt_of(images) for images in await asyncio.gather(*calls)]
    assert {receipt["model"] for receipt in receipts} <= {"steady", FRAGILE}
    lost = [receipt for receipt in receipts if receipt["images"][0]["substitutions"]]
    assert lost, "the kill came too late to hit a request"


async def test_work_ends_when_the_client_has_gone_and_when_the_deadline_has_passed(app: App) -> None:
    async with httpx2.AsyncClient(base_url=app.url, timeout=30) as client:
        gone = asyncio.create_task(
            client.post("/v1/images/generations", json={"prompt": "x", "model": "endless"})
        )
        await at_work(app, "endless", 1)
        gone.cancel()
        await at_work(app, "endless", 0)
        late = await client.post(
            "/v1/images/generations",
            json={"prompt": "x", "model": "endless", "atelier": {"max_latency_ms": 300}},
        )
        assert (late.status_code, late.json()["error"]["code"]) == (504, "deadline_exceeded")
        await at_work(app, "endless", 0)


async def test_a_trace_is_one_tree_from_http_to_the_stages(app: App) -> None:
    trace_id, parent_id = uuid.uuid4().hex, uuid.uuid4().hex[:16]
    async with httpx2.AsyncClient(base_url=app.url, timeout=60) as client:
        answer = await client.post(
            "/v1/images/generations",
            json={"prompt": "upscaled fox", "size": "128x128"},
            headers={"traceparent": f"00-{trace_id}-{parent_id}-01"},
        )
    assert answer.status_code == 200, answer.text
    assert answer.json()["atelier"]["trace_id"] == trace_id
    http, render, replica = "POST /v1/images/generations", "image.render", "replica.render"
    expected = {
        http: {"caller"},
        "policy.decide": {http},
        render: {http},
        "http.respond": {http},
        "handle.render": {render},
        replica: {"handle.render"},
        "replica.queue": {replica},
        "text_encode": {replica},
        "denoise": {replica},
        "decode": {replica},
        "upscale": {replica},
        "encode_image": {replica},
    }
    spans = app.spans.trace(trace_id, parent_id, set(expected))
    by_id = {span.span_id.hex(): span for span in spans}
    for span in spans:
        parent = span.parent_span_id.hex()
        parent_name = "caller" if parent == parent_id else by_id[parent].name  # KeyError: an orphan
        assert parent_name in expected[span.name], f"{span.name} under {parent_name}"
    names = [span.name for span in spans]
    assert names.count("handle.render") == names.count(replica) == 2
    for span in spans:
        parent_span = by_id.get(span.parent_span_id.hex())
        if parent_span is not None and span.name != "replica.queue":
            assert span.start_time_unix_nano >= parent_span.start_time_unix_nano - 1_000_000, span.name


async def test_a_full_queue_is_refused_with_retry_after(app: App) -> None:
    async with httpx2.AsyncClient(base_url=app.url, timeout=30) as client:
        answers = await asyncio.gather(
            *(client.post("/v1/images/generations", json={"prompt": "crowded"}) for _ in range(12))
        )
    statuses = [answer.status_code for answer in answers]
    assert 200 in statuses
    refused = [answer for answer in answers if answer.status_code in (429, 503)]
    assert refused
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
    assert not {502, 500} & set(statuses)


async def test_the_policy_changes_without_a_restart_and_a_bad_one_changes_nothing(app: App) -> None:
    async with httpx2.AsyncClient(base_url=app.url) as client:

        async def policy_when(accept: Any) -> Any:
            async with asyncio.timeout(10):
                while True:
                    state = (await client.get("/v1/policy")).json()
                    if accept(state):
                        return state

        before = (await client.get("/v1/policy")).json()["version"]
        app.policy.write_text(POLICY + "  # the same rules\n")
        changed = await policy_when(lambda state: state["version"] != before)
        app.policy.write_text("model_routing:\n  - pattern: '('\n    model: nobody\n")
        refused = await policy_when(lambda state: state["refused"])
        assert refused["version"] == changed["version"]
        app.policy.write_text(POLICY)
        await policy_when(lambda state: state["version"] == before and not state["refused"])


async def test_health_and_openapi(app: App) -> None:
    async with httpx2.AsyncClient(base_url=app.url) as client:
        assert (await client.get("/healthz")).json() == {"status": "alive"}
        async with asyncio.timeout(60):  # the killed replica's successor may still be starting
            while (ready := await client.get("/readyz")).status_code != 200:
                assert ready.json()["models_without_replica"] == [FRAGILE]
        assert ready.json()["status"] == "ready"
        paths = (await client.get("/openapi.json")).json()["paths"]
    assert "/v1/images/generations" in paths


async def test_metrics_are_exported_for_prometheus(app: App) -> None:
    await app.client().images.generate(prompt="something big")
    wanted = {
        telemetry.METRIC_REQUESTS,
        telemetry.METRIC_DURATION_MS + "_count",
        telemetry.METRIC_SUBSTITUTIONS,
        telemetry.METRIC_QUEUE_MS + "_bucket",
    }
    async with httpx2.AsyncClient() as client, asyncio.timeout(60):
        while True:
            exported = (await client.get(metrics_url())).text
            missing = {name for name in wanted if f"\nray_{name}{{" not in exported}
            if not missing:
                return


def replica_pid(model: str) -> int:
    """The process of the model's only replica. Ray titles its workers after their actor."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                title = (folder / "cmdline").read_bytes()
            except OSError:
                continue
            if f"ServeReplica:atelier:{model}".encode() in title:
                return int(folder.name)
    raise AssertionError(f"no replica of {model}")


async def at_work(app: App, model: str, count: int) -> None:
    """Returns once the model's replica reports that it works on `count` requests."""
    async with httpx2.AsyncClient(base_url=app.url) as client, asyncio.timeout(10):
        while True:
            models = (await client.get("/v1/fleet")).json()["models"]
            if models[model]["running"] == count:
                return

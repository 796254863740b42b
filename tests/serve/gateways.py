"""A gateway in this process: real HTTP application, real policy, echo models without Ray."""

import contextlib
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

import httpx2
import openai
import uvicorn

from deployments.client import LocalModelClient, ModelClient
from deployments.fakes import EchoModel, EchoSpec
from deployments.types import RenderRequest, RenderResult
from serve.config import AppConfig, parse_config
from serve.gateway import Gateway
from serve.metrics import Observer

SEED_POLICY = """
model_routing:
  - pattern: ".*ui-badge.*"
    model: "typography_focused"
    max_latency_ms: 300
  - pattern: ".*poster.*"
    model: "creative_highfidelity"
    max_latency_ms: 1200
"""

MODELS: Mapping[str, dict[str, Any]] = {
    "typography_focused": {"kind": "echo"},
    "creative_highfidelity": {"kind": "echo"},
    "upscale_2x": {"kind": "echo", "capability": "upscale", "scale": 2},
}

Render = Callable[[RenderRequest], Awaitable[RenderResult]]


def config(policy: str = SEED_POLICY, models: Mapping[str, Any] = MODELS, **more: Any) -> AppConfig:
    return parse_config({"models": dict(models), "policy": {"text": policy}, **more})


def echo(name: str, **fields: Any) -> EchoModel:
    return EchoModel(name, EchoSpec.model_validate({"kind": "echo", **fields}))


def gateway(
    policy: str = SEED_POLICY,
    models: Mapping[str, Any] = MODELS,
    renders: Mapping[str, Render] | None = None,
    observer: Observer | None = None,
    **more: Any,
) -> Gateway:
    """`renders` replaces what a model does."""
    app_config = config(policy, models, **more)
    return Gateway(app_config, clients_of(app_config, renders), observer)


def clients_of(app_config: AppConfig, renders: Mapping[str, Render] | None = None) -> dict[str, ModelClient]:
    """One in this process for each echo model of the config."""
    clients: dict[str, ModelClient] = {}
    for name, spec in app_config.models.items():
        assert isinstance(spec, EchoSpec)
        model = EchoModel(name, spec)
        render = (renders or {}).get(name, model.render)
        clients[name] = LocalModelClient(name, render, model.load_report)
    return clients


def http(of: Gateway) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(of.app), base_url="http://atelier")


def official(of: Gateway) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(
        api_key="none", base_url="http://atelier/v1", http_client=http(of), max_retries=0
    )


@contextlib.contextmanager
def listening(of: Gateway) -> Iterator[str]:
    """The gateway behind a real server on loopback."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        server = uvicorn.Server(uvicorn.Config(of.app, log_level="error", lifespan="off"))
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()

"""The router with handles that answer as Ray's do, without Ray."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2
import pytest
from ray.serve.exceptions import BackPressureError

from deployments import telemetry
from deployments.telemetry import ProcessTelemetry
from serve.router import Router
from tests.serve.gateways import config, echo

Call = Callable[..., Any]


class Handle:
    """The part of Ray's DeploymentHandle that is used here."""

    def __init__(self, render: Call, method_name: str = "__call__") -> None:
        self._render = render
        self._method_name = method_name

    def options(self, method_name: str, stream: bool = False) -> "Handle":
        assert stream == (method_name == "render_stream")
        return Handle(self._render, method_name)

    def remote(self, request: Any) -> Any:
        return self._render(request) if self._method_name == "render" else self._events(request)

    async def _events(self, request: Any) -> AsyncIterator[Any]:
        yield await self._render(request)


async def full(request: Any) -> Any:
    raise BackPressureError(64, 64)


@pytest.fixture
def posted(monkeypatch: pytest.MonkeyPatch) -> Callable[[Handle], Any]:
    """Asks a router for a poster whose model has that handle."""
    monkeypatch.setattr(telemetry, "configure_logging", lambda _: None)

    async def post(handle: Handle) -> httpx2.Response:
        models = {"creative_highfidelity": {"kind": "echo"}}
        policy = "model_routing: []\ndefault: {model: creative_highfidelity}\n"
        router = Router(config(policy, models), {"creative_highfidelity": handle}, ProcessTelemetry())
        transport = httpx2.ASGITransport(router.__serve_build_asgi_app__())
        async with httpx2.AsyncClient(transport=transport, base_url="http://atelier") as client:
            return await client.post("/v1/images/generations", json={"prompt": "a poster"})

    return post


async def test_a_request_reaches_the_model_s_handle(posted: Any) -> None:
    answer = await posted(Handle(echo("creative_highfidelity").render))
    assert answer.status_code == 200
    assert answer.json()["atelier"]["model"] == "creative_highfidelity"


async def test_a_full_queue_in_front_of_the_replicas_is_a_429(posted: Any) -> None:
    answer = await posted(Handle(full))
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "refused_capacity")
    assert "64" not in answer.text

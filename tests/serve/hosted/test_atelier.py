"""Another Atelier is an OpenAI-compatible server: one gateway's model is the other gateway."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import openai
import pytest
import uvicorn

from serve.gateway import Gateway
from tests.serve.gateways import gateway
from tests.serve.hosted.gateways import served

BEHIND = {
    "there": {"kind": "echo", "default_width": 64, "default_height": 64},
    "busy": {"kind": "echo", "fails_with": "capacity"},
}
POLICY = "default: {model: there}"


@asynccontextmanager
async def listening(of: Gateway) -> AsyncIterator[str]:
    """On a free port of loopback."""
    with socket.create_server(("127.0.0.1", 0)) as place:
        server = uvicorn.Server(uvicorn.Config(of.app, log_level="warning", lifespan="off"))
        serving = asyncio.create_task(server.serve([place]))
        try:
            yield f"http://127.0.0.1:{place.getsockname()[1]}/v1"
        finally:
            server.should_exit = True
            await serving


async def test_an_image_of_another_atelier() -> None:
    async with listening(gateway(POLICY, BEHIND)) as url:
        here = {"kind": "openai_compatible", "dialect": "atelier", "base_url": url, "model": "there"}
        async with served(POLICY.replace("there", "here"), {"here": here}) as service:
            for _ in range(2):
                await service.client.images.generate(
                    prompt="a fox", size="64x32", extra_body={"atelier": {"seed": 7}}
                )
    first, second = (receipt.images[0].stages[0] for receipt in service.observed.receipts)
    assert (first.width, first.height, first.seed) == (64, 32, 7)
    assert first.pixels_sha256 == second.pixels_sha256
    assert first.details["provider"] == "the server of here"
    assert first.details["provider_request_id"]


@pytest.mark.parametrize(
    ("model", "code", "status"), [("busy", "refused_capacity", 429), ("nobody", "model_gone", 410)]
)
async def test_its_errors_mean_here_what_they_mean_there(model: str, code: str, status: int) -> None:
    async with listening(gateway(POLICY, BEHIND)) as url:
        here = {
            "kind": "openai_compatible",
            "dialect": "atelier",
            "base_url": url,
            "model": model,
            "retries": 0,
        }
        async with served(POLICY.replace("there", "here"), {"here": here}) as service:
            with pytest.raises(openai.APIStatusError) as caught:
                await service.client.images.generate(prompt="a fox", size="64x32")
    assert (caught.value.code, caught.value.status_code) == (code, status)

"""Another Atelier is an OpenAI-compatible server: one gateway's model is the other gateway."""

import asyncio
import io
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import openai
import pytest
import uvicorn
from PIL import Image

from deployments.types import RenderRequest, RenderResult
from serve.gateway import Gateway
from tests.serve.gateways import echo, gateway
from tests.serve.hosted.gateways import served

BEHIND = {
    "there": {"kind": "echo", "default_width": 64, "default_height": 64},
    "busy": {"kind": "echo", "fails_with": "capacity"},
}
OPTIONS = {"steps": 4, "guidance_scale": 2.5, "strength": 0.5, "lora": "ink", "negative_prompt": "fog"}
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


async def test_an_edit_by_another_atelier() -> None:
    """Its options travel as fields of a form, which have no types: they arrive as what they were."""
    asked: list[RenderRequest] = []

    async def edit(request: RenderRequest) -> RenderResult:
        asked.append(request)
        return await echo("there", capability="edit").render(request)

    editor = {"there": {"kind": "echo", "capability": "edit"}}
    async with listening(gateway(POLICY, editor, {"there": edit})) as url:
        here = {
            "kind": "openai_compatible",
            "dialect": "atelier",
            "base_url": url,
            "model": "there",
            "can_edit": True,
            "deterministic": True,
        }
        async with served(POLICY.replace("there", "here"), {"here": here}) as service:
            await service.client.images.edit(
                image=("room.png", picture("RGB"), "image/png"),
                mask=("mask.png", picture("RGBA"), "image/png"),
                prompt="a fox",
                extra_body={"atelier": {**OPTIONS, "seed": 7, "deterministic": True}},
            )
    (request,) = asked
    assert request.image is not None
    assert request.mask is not None
    assert (request.image.shape, request.mask.mean()) == ((64, 64, 3), 255)
    assert (request.prompt, request.seed, request.deterministic) == ("a fox", 7, True)
    assert {name: getattr(request, name) for name in OPTIONS} == OPTIONS
    assert service.observed.receipts[0].images[0].stages[0].seed == 7


def picture(mode: str) -> bytes:
    """Grey; with transparency, one that may change everywhere."""
    data = io.BytesIO()
    Image.new(mode, (64, 64), (90, 90, 90, 0)[: len(mode)]).save(data, "PNG")
    return data.getvalue()


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

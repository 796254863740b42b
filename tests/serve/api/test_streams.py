"""Streams as the official client reads them."""

from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest

from deployments import errors, images
from deployments.types import Encoding, PartialImage, RenderRequest, RenderResult
from tests.serve.gateways import echo, gateway, official

POLICY = "model_routing: []\ndefault: {model: typography_focused, fallback: [creative_highfidelity]}\n"


async def collected(stream: Any) -> list[Any]:
    return [event async for event in stream]


async def test_previews_then_the_image_with_its_receipt() -> None:
    client = official(gateway())
    stream = await client.images.generate(
        prompt="a poster", stream=True, partial_images=2, size="64x32", extra_body={"atelier": {"seed": 5}}
    )
    first, second, done = await collected(stream)
    assert [first.type, second.type] == ["image_generation.partial_image"] * 2
    assert [first.partial_image_index, second.partial_image_index] == [0, 1]
    assert done.type == "image_generation.completed"
    assert done.size == "64x32"
    assert done.atelier["images"][0]["seed"] == 5
    whole = await client.images.generate(prompt="a poster", size="64x32", extra_body={"atelier": {"seed": 5}})
    assert whole.data is not None
    assert done.b64_json == whole.data[0].b64_json


async def test_no_previews_asked_gives_one_event() -> None:
    stream = await official(gateway()).images.generate(prompt="a poster", stream=True)
    assert [event.type for event in await collected(stream)] == ["image_generation.completed"]


async def test_what_fails_before_the_first_byte_falls_back_or_is_an_http_error() -> None:
    async def fail(request: RenderRequest, on_partial: Any = None) -> RenderResult:
        raise errors.OutOfMemory("no memory")

    of = gateway(POLICY, renders={"typography_focused": fail})
    events = await collected(await official(of).images.generate(prompt="x", stream=True, partial_images=1))
    assert events[-1].atelier["model"] == "creative_highfidelity"
    both = gateway(POLICY, renders={"typography_focused": fail, "creative_highfidelity": fail})
    with pytest.raises(openai.InternalServerError) as caught:
        await official(both).images.generate(prompt="x", stream=True, partial_images=1)
    assert (caught.value.status_code, caught.value.code) == (503, "out_of_memory")


async def test_after_the_first_byte_nothing_else_takes_its_place() -> None:
    of = gateway(POLICY)

    class Breaking:
        name = "typography_focused"

        async def stream(self, request: RenderRequest) -> AsyncIterator[PartialImage | RenderResult]:
            pixels = (await echo("x").render(request.__class__("r", "", 8, 8, 0))).image
            yield PartialImage(0, images.encode(pixels, Encoding()))  # type: ignore[arg-type]
            raise errors.ModelFailed("model typography_focused failed")

    of.dispatcher._clients["typography_focused"] = Breaking()  # type: ignore[index]
    stream = await official(of).images.generate(prompt="x", stream=True, partial_images=1)
    assert (await anext(stream)).type == "image_generation.partial_image"
    with pytest.raises(openai.APIError, match="failed"):
        await anext(stream)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"stream": True, "n": 2}, "invalid_n"),
        ({"partial_images": 1}, "invalid_parameter"),
        ({"stream": True, "partial_images": 4}, "invalid_parameter"),
        ({"stream": True, "response_format": "url"}, "invalid_parameter"),
    ],
)
async def test_what_a_stream_cannot_be(fields: dict[str, Any], code: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await official(gateway()).images.generate(**{"prompt": "a poster", **fields})
    assert caught.value.code == code

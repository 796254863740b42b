"""The Images API as the official client speaks it."""

import base64
import io
from typing import Any

import openai
import pytest
from PIL import Image

from deployments import errors
from deployments.types import RenderRequest, RenderResult
from tests.serve.gateways import SEED_POLICY, echo, gateway, http, official


async def test_a_badge_is_routed_by_its_asset_label() -> None:
    images = await official(gateway()).images.generate(
        prompt="SALE", size="256x128", extra_body={"atelier": {"asset": "ui-badge", "seed": 3}}
    )
    receipt: Any = images.model_extra and images.model_extra["atelier"]
    assert receipt["model"] == "typography_focused"
    assert receipt["images"][0]["seed"] == 3
    assert receipt["budget_ms"] == 300
    assert images.size == "256x128"
    data = images.data
    assert data is not None
    assert data[0].b64_json is not None
    with Image.open(io.BytesIO(base64.b64decode(data[0].b64_json))) as image:
        assert (image.size, image.format) == ((256, 128), "PNG")


async def test_a_poster_is_routed_by_its_prompt() -> None:
    images = await official(gateway()).images.generate(prompt="a poster of a fox", model="auto")
    assert images.model_extra is not None
    assert images.model_extra["atelier"]["model"] == "creative_highfidelity"


async def test_n_images_have_consecutive_seeds_and_differ() -> None:
    images = await official(gateway()).images.generate(
        prompt="a poster", n=3, extra_body={"atelier": {"seed": 10}}
    )
    assert images.data is not None
    assert images.model_extra is not None
    assert [each["seed"] for each in images.model_extra["atelier"]["images"]] == [10, 11, 12]
    assert len({each.b64_json for each in images.data}) == 3


@pytest.mark.parametrize("output_format", ["png", "jpeg", "webp"])
async def test_formats(output_format: Any) -> None:
    images = await official(gateway()).images.generate(prompt="a poster", output_format=output_format)
    assert images.output_format == output_format
    assert images.data is not None
    assert images.data[0].b64_json is not None
    with Image.open(io.BytesIO(base64.b64decode(images.data[0].b64_json))) as image:
        assert image.format == output_format.upper()


async def test_url_answers_are_served_and_end(tmp_path: Any) -> None:
    of = gateway(files={"url": f"file://{tmp_path}", "ttl_s": 60})
    images = await official(of).images.generate(prompt="a poster", response_format="url")
    assert images.data is not None
    url = images.data[0].url
    assert url is not None
    async with http(of) as client:
        answer = await client.get(url)
        assert answer.headers["content-type"] == "image/png"
        assert answer.content.startswith(b"\x89PNG")
        missing = await client.get(url.replace(url[-12:-4], "AAAAAAAA"))
        assert (missing.status_code, missing.json()["error"]["code"]) == (404, "file_not_found")


@pytest.mark.parametrize(
    ("fields", "status", "code", "param"),
    [
        ({"model": "no-such-model"}, 404, "model_not_found", "model"),
        ({"prompt": "   "}, 400, "empty_prompt", "prompt"),
        ({"prompt": "x" * 4001}, 400, "prompt_too_long", "prompt"),
        ({"n": 5}, 400, "invalid_n", "n"),
        ({"n": 0}, 400, "invalid_n", "n"),
        ({"size": "huge"}, 400, "invalid_size", "size"),
        ({"size": "8x8"}, 400, "invalid_size", "size"),
        ({"size": "99999x1"}, 400, "invalid_size", "size"),
        ({"output_format": "gif"}, 400, "invalid_parameter", "output_format"),
        ({"output_format": "jpeg", "background": "transparent"}, 400, "invalid_background", "background"),
        ({"extra_body": {"atelier": {"sed": 1}}}, 400, "unknown_parameter", "atelier.sed"),
        ({"extra_body": {"frame_count": 4}}, 400, "unknown_parameter", "frame_count"),
        ({"extra_body": {"atelier": {"seed": -1}}}, 400, "invalid_parameter", "atelier.seed"),
        ({"extra_body": {"atelier": {"max_latency_ms": 0}}}, 400, "invalid_parameter", None),
        ({"prompt": "nothing that matches"}, 400, "no_route", "prompt"),
    ],
)
async def test_bad_requests_name_what_is_wrong(
    fields: dict[str, Any], status: int, code: str, param: str | None
) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        await official(gateway()).images.generate(**{"prompt": "a poster", **fields})
    assert (caught.value.status_code, caught.value.code) == (status, code)
    if param is not None:
        assert caught.value.param == param
    assert caught.value.type == "invalid_request_error"


@pytest.mark.parametrize("body", [b"{not json", b"", b"[]", b'"text"', b"null", b"\xff\xfe", b"[" * 100_000])
async def test_what_is_not_a_json_object_is_refused(body: bytes) -> None:
    async with http(gateway()) as client:
        answer = await client.post(
            "/v1/images/generations", content=body, headers={"content-type": "application/json"}
        )
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"


async def test_a_body_over_the_limit_is_413() -> None:
    of = gateway(limits={"max_body_bytes": 2048})
    with pytest.raises(openai.APIStatusError) as caught:
        await official(of).images.generate(prompt="a poster" * 1000)
    assert (caught.value.status_code, caught.value.code) == (413, "body_too_large")


async def test_aliases_map_well_known_models_by_quality() -> None:
    policy = SEED_POLICY + (
        "aliases:\n  dall-e-3:\n    model: creative_highfidelity\n    quality:\n"
        "      hd: {model: typography_focused}\n"
    )
    client = official(gateway(policy))
    standard = await client.images.generate(prompt="a cat", model="dall-e-3", quality="standard")
    high = await client.images.generate(prompt="a cat", model="dall-e-3", quality="hd")
    assert standard.model_extra is not None
    assert high.model_extra is not None
    assert standard.model_extra["atelier"]["model"] == "creative_highfidelity"
    assert high.model_extra["atelier"]["model"] == "typography_focused"


async def test_a_chain_hands_pixels_on() -> None:
    policy = "default: {stages: [creative_highfidelity, upscale_2x]}\nmodel_routing: []\n"
    images = await official(gateway(policy)).images.generate(prompt="a cat", size="256x128")
    assert images.size == "256x128"
    assert images.model_extra is not None
    stages = images.model_extra["atelier"]["images"][0]["stages"]
    assert [(each["model"], each["width"]) for each in stages] == [
        ("creative_highfidelity", 128),
        ("upscale_2x", 256),
    ]


async def test_what_a_model_says_of_a_request_reaches_the_caller() -> None:
    async def refuse(request: RenderRequest) -> RenderResult:
        raise errors.InvalidRequest("layout.colour 'blurple' is not a colour", "atelier.layout.colour")

    with pytest.raises(openai.BadRequestError) as caught:
        await official(gateway(renders={"typography_focused": refuse})).images.generate(
            prompt="x", extra_body={"atelier": {"asset": "ui-badge"}}
        )
    assert caught.value.param == "atelier.layout.colour"


async def test_nothing_internal_is_shown() -> None:
    async def explode(request: RenderRequest) -> RenderResult:
        raise RuntimeError("/secret/path pid=123 ip=192.0.2.2")

    async with http(gateway(renders={"creative_highfidelity": explode})) as client:
        answer = await client.post("/v1/images/generations", json={"prompt": "a poster"})
    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "model_error"
    assert "secret" not in answer.text
    assert "192.0.2.2" not in answer.text


async def test_the_answer_says_in_headers_what_happened() -> None:
    async with http(gateway()) as client:
        answer = await client.post(
            "/v1/images/generations", json={"prompt": "a poster"}, headers={"x-request-id": "mine-1"}
        )
    assert answer.headers["x-request-id"] == "mine-1"
    assert answer.headers["x-atelier-model"] == "creative_highfidelity"
    assert answer.headers["x-atelier-generated"] == "true"
    assert answer.json()["atelier"]["request_id"] == "mine-1"


async def test_a_random_seed_is_reported_so_that_the_image_can_be_made_again() -> None:
    of = gateway(
        models={**{"creative_highfidelity": {"kind": "echo"}}},
        policy="model_routing: []\ndefault: {model: creative_highfidelity}\n",
    )
    client = official(of)
    first = await client.images.generate(prompt="a cat")
    assert first.model_extra is not None
    seed = first.model_extra["atelier"]["images"][0]["seed"]
    again = await client.images.generate(prompt="a cat", extra_body={"atelier": {"seed": seed}})
    assert first.data is not None
    assert again.data is not None
    assert first.data[0].b64_json == again.data[0].b64_json
    assert (await echo("m").render(RenderRequest("r", "", 8, 8, seed))).receipt.seed == seed

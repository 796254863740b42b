"""Each hosted system end to end: the official client, HTTP, policy, replica, adapter, and the provider's
stand-in, which is strict."""

import base64
import io

import openai
import pytest
from PIL import Image

from tests.deployments.hosted.ideogram_standin import IdeogramStandIn
from tests.deployments.hosted.openai_standin import OpenAIStandIn
from tests.deployments.hosted.standin import StandIn, colour_of
from tests.serve.hosted.gateways import ideogram_model, openai_model, served, upload

PROMPT = "a lighthouse at dawn"


def picture(encoded: str | None) -> Image.Image:
    assert encoded is not None
    return Image.open(io.BytesIO(base64.b64decode(encoded)))


@pytest.mark.parametrize("quality", ["standard", "hd"])
async def test_dall_e_3_in_both_qualities(openai_api: OpenAIStandIn, quality: str) -> None:
    models = {
        "dalle": openai_model(
            openai_api, "dall-e-3", quality=quality, style="natural", pricing={"usd_per_image": 0.08}
        )
    }
    async with served("default: {model: dalle}", models) as service:
        answer = await service.client.images.generate(prompt=PROMPT, size="1792x1024")
    assert openai_api.calls[0].fields == {
        "model": "dall-e-3",
        "prompt": PROMPT,
        "n": 1,
        "size": "1792x1024",
        "quality": quality,
        "style": "natural",
        "response_format": "b64_json",
    }
    assert answer.data is not None
    image = picture(answer.data[0].b64_json)
    assert image.size == (1792, 1024)
    assert image.getpixel((5, 5)) == colour_of(PROMPT)
    (receipt,) = service.observed.receipts
    (stage,) = receipt.images[0].stages
    assert (receipt.model, receipt.cost_usd, stage.cost_usd) == ("dalle", 0.08, 0.08)
    assert stage.revision == f"openai:dall-e-3:{quality}:natural"
    assert stage.details == {
        "provider": "OpenAI",
        "provider_request_id": "req_standin",
        "revised_prompt": f"{PROMPT}, in great detail",
    }
    assert stage.seed is None


@pytest.mark.parametrize("model", ["V_1", "V_1_TURBO"])
async def test_ideogram_v1(ideogram_api: IdeogramStandIn, model: str) -> None:
    models = {"ideogram": ideogram_model(ideogram_api, model, pricing={"usd_per_image": 0.06})}
    async with served("default: {model: ideogram}", models) as service:
        answer = await service.client.images.generate(
            prompt=PROMPT,
            size="640x1024",
            extra_body={"atelier": {"seed": 2**31 + 7, "negative_prompt": "fog"}},
        )
    (call,) = ideogram_api.calls
    assert (call.path, dict(call.fields)) == (
        "/generate",
        {
            "prompt": PROMPT,
            "model": model,
            "aspect_ratio": "ASPECT_10_16",
            "magic_prompt_option": "OFF",
            "seed": 7,
            "num_images": 1,
            "negative_prompt": "fog",
        },
    )
    assert answer.data is not None
    assert picture(answer.data[0].b64_json).size == (640, 1024)
    (stage,) = service.observed.receipts[0].images[0].stages
    assert (stage.cost_usd, stage.seed) == (0.06, 12345)
    assert stage.details == {"provider": "Ideogram", "provider_size": "640x1024"}


async def test_ideogram_v3(ideogram_api: IdeogramStandIn) -> None:
    fields = {"rendering_speed": "QUALITY", "style_type": "DESIGN", "pricing": {"usd_per_image": 0.09}}
    async with served(
        "default: {model: ideogram}", {"ideogram": ideogram_model(ideogram_api, "V_3", **fields)}
    ) as service:
        answer = await service.client.images.generate(
            prompt=PROMPT, size="640x400", extra_body={"atelier": {"seed": 5}}
        )
    (call,) = ideogram_api.calls
    assert (call.path, dict(call.fields)) == (
        "/v1/ideogram-v3/generate",
        {
            "prompt": PROMPT,
            "seed": "5",
            "num_images": "1",
            "magic_prompt": "OFF",
            "rendering_speed": "QUALITY",
            "style_type": "DESIGN",
            "resolution": "1280x800",
        },
    )
    assert answer.data is not None
    image = picture(answer.data[0].b64_json)
    assert image.size == (640, 400)
    assert image.getpixel((5, 5)) == colour_of(PROMPT)
    assert service.observed.receipts[0].cost_usd == 0.09


async def test_a_gpt_image_model_with_transparency(openai_api: OpenAIStandIn) -> None:
    models = {"gpt": openai_model(openai_api, "gpt-image-2.6-flare", quality="low", moderation="low")}
    async with served("default: {model: gpt}", models) as service:
        answer = await service.client.images.generate(prompt=PROMPT, size="512x512", background="transparent")
    assert openai_api.calls[0].fields == {
        "model": "gpt-image-2.6-flare",
        "prompt": PROMPT,
        "n": 1,
        "size": "816x816",
        "quality": "low",
        "moderation": "low",
        "background": "transparent",
        "output_format": "png",
    }
    assert answer.data is not None
    image = picture(answer.data[0].b64_json)
    assert (image.size, image.mode) == ((512, 512), "RGBA")


EDITORS = {
    "gpt-image": ("gpt-image-1.5", "/v1/images/edits", {"image", "mask"}),
    "gpt-image without a mask": ("gpt-image-2", "/v1/images/edits", {"image"}),
    "Ideogram V3": ("V_3", "/v1/ideogram-v3/edit", {"image", "mask"}),
    "Ideogram V3 without a mask": ("V_3", "/v1/ideogram-v3/remix", {"image"}),
}


@pytest.mark.parametrize("system", EDITORS)
async def test_an_edit_goes_to_who_can_edit(
    openai_api: OpenAIStandIn, ideogram_api: IdeogramStandIn, system: str
) -> None:
    """A picture and a mask by the official client: who cannot edit is passed over before anything runs."""
    model, path, files = EDITORS[system]
    api: StandIn = ideogram_api if model == "V_3" else openai_api
    price = {"pricing": {"usd_per_image": 0.25}}
    editor = (
        ideogram_model(ideogram_api, model, **price)
        if model == "V_3"
        else openai_model(openai_api, model, **price)
    )
    models = {"painter": openai_model(openai_api, "dall-e-3"), "editor": editor}
    async with served("default: {model: painter, fallback: [editor]}", models) as service:
        answer = await service.client.images.edit(
            image=("room.png", upload("RGB"), "image/png"),
            mask=("mask.png", upload("RGBA"), "image/png") if "mask" in files else openai.NOT_GIVEN,
            prompt=PROMPT,
        )
    (call,) = api.calls
    assert (call.path, call.files.keys(), call.fields["prompt"]) == (path, files, PROMPT)
    assert call.files["image"].getpixel((5, 5))[:3] == (90, 90, 90)
    assert answer.data is not None
    image = picture(answer.data[0].b64_json)
    assert (image.size, image.getpixel((5, 5))) == ((512, 512), colour_of(PROMPT))
    (receipt,) = service.observed.receipts
    assert (receipt.model, receipt.cost_usd) == ("editor", 0.25)
    assert "painter which is out: painter cannot edit" in receipt.reason


async def test_a_variation_is_a_remix_without_words(ideogram_api: IdeogramStandIn) -> None:
    models = {"ideogram": ideogram_model(ideogram_api, "V_3")}
    async with served("default: {model: ideogram}", models) as service:
        await service.client.images.create_variation(image=("room.png", upload("RGB"), "image/png"))
    assert [call.path for call in ideogram_api.calls] == ["/v1/ideogram-v3/remix"]


async def test_several_images_are_several_calls_side_by_side(openai_api: OpenAIStandIn) -> None:
    models = {"gpt": openai_model(openai_api, "gpt-image-2", pricing={"usd_per_image": 0.5})}
    async with served("default: {model: gpt}", models) as service:
        answer = await service.client.images.generate(prompt=PROMPT, n=3)
    assert answer.data is not None
    assert len(answer.data) == len(openai_api.calls) == 3
    assert service.observed.receipts[0].cost_usd == 1.5

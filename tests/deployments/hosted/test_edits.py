"""Pictures and masks arrive as each provider publishes them: what may change is transparent at OpenAI, black
at Ideogram."""

import numpy as np
import pytest
from PIL import Image

from deployments.errors import InvalidRequest, Unsupported
from tests.deployments.hosted.building import compatible, ideogram, left_half, openai_images, photo, request
from tests.deployments.hosted.ideogram_standin import IdeogramStandIn
from tests.deployments.hosted.openai_standin import OpenAIStandIn


def pixels(image: Image.Image) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.asarray(image)


async def test_openai_edits_where_the_mask_is_transparent(openai_api: OpenAIStandIn) -> None:
    model = openai_images(openai_api, "gpt-image-1.5", quality="high")
    result = await model.render(request(1024, 1536, image=photo(), mask=left_half()))
    (call,) = openai_api.calls
    assert (call.path, dict(call.fields)) == (
        "/v1/images/edits",
        {
            "model": "gpt-image-1.5",
            "prompt": "a fox",
            "n": "1",
            "size": "1024x1536",
            "quality": "high",
            "background": "opaque",
            "output_format": "png",
        },
    )
    assert (pixels(call.files["image"]) == 90).all()
    alpha = pixels(call.files["mask"])[..., 3]
    assert (alpha[:, :32] == 0).all()
    assert (alpha[:, 32:] == 255).all()
    assert (result.receipt.width, result.receipt.height) == (1024, 1536)
    await model.close()


async def test_openai_edits_without_a_mask(openai_api: OpenAIStandIn) -> None:
    model = openai_images(openai_api, "gpt-image-2")
    await model.render(request(image=photo()))
    assert set(openai_api.calls[0].files) == {"image"}
    await model.close()


async def test_ideogram_edits_where_the_mask_is_black(ideogram_api: IdeogramStandIn) -> None:
    model = ideogram(ideogram_api, "V_3", rendering_speed="TURBO")
    await model.render(request(64, 64, image=photo(), mask=left_half()))
    (call,) = ideogram_api.calls
    assert (call.path, dict(call.fields)) == (
        "/v1/ideogram-v3/edit",
        {
            "prompt": "a fox",
            "seed": "1",
            "num_images": "1",
            "magic_prompt": "OFF",
            "rendering_speed": "TURBO",
        },
    )
    mask = pixels(call.files["mask"])
    assert (mask[:, :32] == 0).all()
    assert (mask[:, 32:] == 255).all()
    await model.close()


@pytest.mark.parametrize(
    ("strength", "weight"), [(None, None), (0.25, "75"), (1.0, "1"), (0.001, "100"), (0.5, "50")]
)
async def test_ideogram_remixes_a_picture(
    ideogram_api: IdeogramStandIn, strength: float | None, weight: str | None
) -> None:
    """Ours says how much may change, Ideogram's how much the picture counts."""
    model = ideogram(ideogram_api, "V_3")
    await model.render(request(512, 1024, image=photo(), strength=strength, negative_prompt="fog"))
    (call,) = ideogram_api.calls
    assert call.path == "/v1/ideogram-v3/remix"
    assert call.fields.get("image_weight") == weight
    assert (call.fields["resolution"], call.fields["negative_prompt"]) == ("704x1408", "fog")
    await model.close()


async def test_a_compatible_server_that_edits(other_server: OpenAIStandIn) -> None:
    model = compatible(other_server, can_edit=True, dialect="sglang")
    await model.render(request(image=photo(), mask=left_half(), steps=4))
    (call,) = other_server.calls
    assert call.path == "/v1/images/edits"
    assert call.fields["num_inference_steps"] == "4"
    assert set(call.files) == {"image", "mask"}
    await model.close()


async def test_who_cannot_edit_is_not_asked(
    openai_api: OpenAIStandIn, ideogram_api: IdeogramStandIn, other_server: OpenAIStandIn
) -> None:
    for model in (
        openai_images(openai_api, "dall-e-3"),
        ideogram(ideogram_api, "V_1"),
        compatible(other_server),
    ):
        with pytest.raises(Unsupported, match="cannot edit images"):
            await model.render(request(image=photo()))
        await model.close()
    assert openai_api.calls == ideogram_api.calls == other_server.calls == []


async def test_a_mask_of_another_size_is_the_caller_s_mistake(ideogram_api: IdeogramStandIn) -> None:
    model = ideogram(ideogram_api, "V_3")
    with pytest.raises(InvalidRequest, match="different sizes") as caught:
        await model.render(request(image=photo(), mask=left_half(32, 32)))
    assert type(caught.value) is InvalidRequest  # every other model would refuse it too
    await model.close()


async def test_what_edit_has_no_field_for(ideogram_api: IdeogramStandIn) -> None:
    model = ideogram(ideogram_api, "V_3")
    for fields in ({"negative_prompt": "fog"}, {"strength": 0.5}):
        with pytest.raises(Unsupported):
            await model.render(request(64, 64, image=photo(), mask=left_half(), **fields))
    assert ideogram_api.calls == []
    await model.close()

"""Requests that come with a picture, as the official client sends them."""

import io
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import openai
import pytest
from PIL import Image

from deployments.catalog import build_model
from deployments.client import LocalModelClient
from deployments.diffusion.tiny import build_tiny
from deployments.types import RenderRequest, RenderResult
from serve.config import parse_config
from serve.gateway import Gateway
from tests.serve.gateways import echo, gateway, http, official


def picture(width: int = 64, height: int = 48, alpha: int | None = None) -> bytes:
    mode, colour = ("RGB", (200, 30, 30)) if alpha is None else ("RGBA", (0, 0, 0, alpha))
    data = io.BytesIO()
    Image.new(mode, (width, height), colour).save(data, "PNG")
    return data.getvalue()


class Editor:
    """Answers as the echo model does and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[RenderRequest] = []

    async def render(self, request: RenderRequest) -> RenderResult:
        self.asked.append(request)
        return await echo("editor").render(request)


@pytest.fixture
def editor() -> Editor:
    return Editor()


@pytest.fixture
def app(editor: Editor) -> Gateway:
    models = {
        "editor": {"kind": "echo", "capability": "edit"},
        "words": {"kind": "echo", "capability": "typeset"},
    }
    return gateway("default: {model: editor}", models, {"editor": editor.render})


async def test_the_picture_its_mask_and_every_option_reach_the_model(app: Gateway, editor: Editor) -> None:
    mask = np.full((48, 64, 4), 255, np.uint8)
    mask[:, :32, 3] = 0
    data = io.BytesIO()
    Image.fromarray(mask).save(data, "PNG")
    images = await official(app).images.edit(
        image=("fox.png", picture()),
        mask=("mask.png", data.getvalue()),
        prompt="a blue hat",
        n=2,
        size="64x48",
        extra_body={"atelier": {"seed": 7, "strength": 0.4, "labels": {"team": "shop"}}},
    )
    assert len(images.data or []) == 2
    assert [asked.seed for asked in editor.asked] == [7, 8]
    asked = editor.asked[0]
    assert asked.image is not None
    assert asked.image.shape == (48, 64, 3)
    assert asked.mask is not None
    assert (asked.mask[:, :32] == 255).all(), "transparent is what changes"
    assert (asked.mask[:, 32:] == 0).all()
    assert (asked.prompt, asked.strength) == ("a blue hat", 0.4)


async def test_without_a_size_the_picture_keeps_its_own(app: Gateway, editor: Editor) -> None:
    images = await official(app).images.edit(image=("a.png", picture(40, 24)), prompt="x")
    assert images.size == "40x24"
    assert (editor.asked[0].width, editor.asked[0].height) == (40, 24)


async def test_a_variation_needs_no_words(app: Gateway, editor: Editor) -> None:
    images = await official(app).images.create_variation(image=("a.png", picture()), n=1)
    assert images.data
    assert images.data[0].b64_json
    assert editor.asked[0].image is not None


async def test_a_stream_of_an_edit_names_its_events_so(app: Gateway) -> None:
    stream = await official(app).images.edit(image=("a.png", picture()), prompt="x", stream=True)
    assert [event.type async for event in stream] == ["image_edit.completed"]


async def test_options_may_be_one_json_object(app: Gateway, editor: Editor) -> None:
    async with http(app) as client:
        answer = await client.post(
            "/v1/images/edits",
            data={"prompt": "x", "atelier": '{"seed": 5}'},
            files={"image": ("a.png", picture())},
        )
    assert answer.status_code == 200, answer.text
    assert editor.asked[0].seed == 5


IMAGE = {"image": ("a.png", picture())}


@pytest.mark.parametrize(
    ("data", "files", "code", "param"),
    [
        ({"prompt": "x"}, {"mask": ("m.png", picture(alpha=0))}, "missing_parameter", "image"),
        ({}, IMAGE, "missing_parameter", "prompt"),
        ({"prompt": " "}, IMAGE, "empty_prompt", "prompt"),
        ({"prompt": "x", "colour": "red"}, IMAGE, "unknown_parameter", "colour"),
        ({"prompt": "x", "n": "many"}, IMAGE, "invalid_parameter", "n"),
        ({"prompt": "x", "atelier": "{"}, IMAGE, "invalid_parameter", "atelier"),
        ({"prompt": "x", "atelier": "7"}, IMAGE, "invalid_parameter", "atelier"),
        ({"prompt": "x", "atelier[seed][x]": "7"}, IMAGE, "invalid_parameter", None),
        ({"prompt": "x", "mask": "text"}, IMAGE, "invalid_parameter", "mask"),
        ({"prompt": "x"}, {**IMAGE, "other": ("a.png", b"x")}, "unknown_parameter", "other"),
        ({"prompt": "x"}, {"image": ("a.png", b"GIF89a")}, "invalid_image", "image"),
        ({"prompt": "x"}, {"image": ("a.png", picture()[:60])}, "invalid_image", "image"),
        ({"prompt": "x"}, {**IMAGE, "mask": ("m.png", picture(8, 8, 0))}, "invalid_image", "mask"),
        ({"prompt": "x"}, {**IMAGE, "mask": ("m.png", picture())}, "invalid_image", "mask"),
    ],
)
async def test_what_is_wrong_is_named(
    app: Gateway,
    editor: Editor,
    data: dict[str, str],
    files: dict[str, tuple[str, bytes]],
    code: str,
    param: str | None,
) -> None:
    async with http(app) as client:
        answer = await client.post("/v1/images/edits", data=data, files=files)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, code), error
    assert param is None or error["param"] == param
    assert editor.asked == []


async def test_a_body_that_is_no_form_is_refused(app: Gateway) -> None:
    async with http(app) as client:
        answer = await client.post("/v1/images/edits", json={"prompt": "x"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_body")


async def test_a_model_that_cannot_edit_is_passed_over_before_anything_runs(app: Gateway) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await official(app).images.edit(image=("a.png", picture()), prompt="x", model="words")
    assert caught.value.code == "unsupported"


@pytest.fixture
async def diffusion(tmp_path: Path) -> AsyncIterator[Gateway]:
    small = {"default_width": 64, "default_height": 64, "default_steps": 4}
    config = parse_config(
        {
            "models": {
                "pictures": {"kind": "diffusion", "weights": str(build_tiny("sd", tmp_path)), **small},
                "bigger": {"kind": "upscaler"},
            },
            "policy": {"text": "default: {model: pictures}"},
        }
    )
    models = {name: build_model(name, spec) for name, spec in config.models.items()}
    for model in models.values():
        await model.load()
    yield Gateway(config, {name: LocalModelClient(name, model.render) for name, model in models.items()})
    for model in models.values():
        await model.close()


async def test_a_real_pipeline_changes_what_is_masked_and_an_upscaler_enlarges(diffusion: Gateway) -> None:
    client = official(diffusion)
    options = {"atelier": {"seed": 3, "steps": 4, "strength": 0.5}}
    same = [
        await client.images.edit(
            image=("a.png", picture(64, 64)),
            mask=("m.png", picture(64, 64, alpha=0)),
            prompt="a fox",
            extra_body=options,
        )
        for _ in range(2)
    ]
    receipts = [dict(each.model_extra or {})["atelier"] for each in same]
    assert [receipt["model"] for receipt in receipts] == ["pictures", "pictures"]
    assert receipts[0]["images"][0]["pixels_sha256"] == receipts[1]["images"][0]["pixels_sha256"]
    large = await client.images.create_variation(image=("a.png", picture(32, 24)), model="bigger")
    assert large.size == "64x48"

"""Baked images with the words of a request, by the real typesetter: all of it but Ray."""

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from deployments import errors
from deployments.client import LocalModelClient
from deployments.types import Pixels, RenderRequest
from deployments.typesetter.colour import Colour, contrast_ratio
from deployments.typesetter.model import TypesetterModel
from deployments.typesetter.spec import TypesetterSpec
from serve.config import parse_config
from serve.gateway import Gateway
from tests.serve.gateways import Render, http
from tests.serve.test_dispatch import failing

GREEN = Colour(30, 120, 60)
POLICY = "default: {model: first, raster_fallback: {asset: pill.png, typeset: words}}"
SAYS = 'a green ui-badge that says "SALE 50%"'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One asset: a green pill, 256x96."""
    pill = Image.new("RGBA", (256, 96), (255, 255, 255, 0))
    ImageDraw.Draw(pill).rounded_rectangle((2, 2, 253, 93), 45, (GREEN.red, GREEN.green, GREEN.blue))
    pill.save(tmp_path / "pill.png")
    return tmp_path


async def answer(folder: Path, prompt: str, words: Render | None = None, **body: Any) -> tuple[Any, Pixels]:
    """The HTTP answer and its picture, from a server whose painter has failed."""
    config = parse_config(
        {
            "models": {"first": {"kind": "echo"}, "words": {"kind": "typesetter"}},
            "policy": {"text": POLICY},
            "rasters": {"folder": str(folder)},
        }
    )
    typesetter = TypesetterModel("words", TypesetterSpec(kind="typesetter"))
    await typesetter.load()
    renders = {"first": failing(errors.OutOfMemory("no memory")), "words": words or typesetter.render}
    of = Gateway(config, {name: LocalModelClient(name, render) for name, render in renders.items()})
    async with http(of) as client:
        found = await client.post(
            "/v1/images/generations", json={"prompt": prompt, "background": "transparent", **body}
        )
    assert found.status_code == 200, found.text
    file = base64.b64decode(found.json()["data"][0]["b64_json"])
    return found, np.asarray(Image.open(io.BytesIO(file)).convert("RGBA"))


async def test_the_words_stand_on_the_asset_and_can_be_read(folder: Path) -> None:
    found, worded = await answer(folder, SAYS, size="256x96")
    bare = np.asarray(Image.open(folder / "pill.png"))
    rows, columns = np.nonzero((worded != bare).any(axis=2))
    assert rows.min() > 15
    assert rows.max() < 80
    assert columns.max() - columns.min() > 60, "words, not a speck"
    assert 20 < columns.min() < 236 - (columns.max() - columns.min())
    inside = worded[rows.min() : rows.max(), columns.min() : columns.max(), :3].reshape(-1, 3)
    ink = Colour(*(int(level) for level in inside[inside.sum(axis=1).argmax()]))
    assert contrast_ratio(ink, GREEN) >= 4.5
    receipt = found.json()["atelier"]
    image = receipt["images"][0]
    assert found.headers["x-atelier-generated"] == "false"
    assert (receipt["model"], image["generated"], image["substituted"]) == ("raster+words", False, True)
    assert [stage["details"]["lines"] for stage in image["stages"]] == [["SALE 50%"]]
    assert [each["outcome"] for each in image["substitutions"]] == ["out_of_memory"]


async def test_words_stay_on_an_asset_that_is_framed(folder: Path) -> None:
    """The picture is higher than the asset. What is calmest then, the emptiness around it, is no place."""
    _, worded = await answer(folder, SAYS, size="256x256")
    _, bare = await answer(folder, "a green ui-badge", size="256x256")
    assert worded.shape == (256, 256, 4)
    rows, _ = np.nonzero((worded != bare).any(axis=2))
    assert 80 < rows.min() < rows.max() < 176
    assert (worded[:80, :, 3] == 0).all()


async def test_without_a_size_the_asset_keeps_its_own_and_jpeg_has_a_white_page(folder: Path) -> None:
    found, worded = await answer(folder, SAYS, output_format="jpeg", background="opaque")
    assert found.json()["size"] == "256x96"
    assert (worded[0, 0] >= 250).all()


async def test_a_layout_says_the_words_too(folder: Path) -> None:
    layout = {"lines": [{"text": "Jetzt neu"}]}
    found, _ = await answer(folder, "a badge", atelier={"layout": layout})
    details = found.json()["atelier"]["images"][0]["stages"][0]["details"]
    assert (details["lines"], details["text_source"]) == (["Jetzt neu"], "layout")


async def untouched(folder: Path, prompt: str, words: Render | None = None) -> dict[str, Any]:
    """The receipt's entry of an image that must be the asset as it is."""
    found, picture = await answer(folder, prompt, words)
    assert np.array_equal(picture, np.asarray(Image.open(folder / "pill.png")))
    assert found.json()["atelier"]["model"] == "raster"
    image: dict[str, Any] = found.json()["atelier"]["images"][0]
    assert (image["generated"], image["stages"], image["pixels_sha256"]) == (False, [], None)
    return image


async def test_a_prompt_that_says_no_words_leaves_the_asset_as_it_is(folder: Path) -> None:
    async def never(request: RenderRequest) -> Any:
        raise AssertionError("there was nothing to set")

    await untouched(folder, "a green badge about summer", never)


@pytest.mark.parametrize(
    ("prompt", "outcome"),
    [('a badge that says "नमस्ते"', "unsupported"), ('a badge that says " "', "unsupported")],
)
async def test_words_that_cannot_be_set_leave_the_asset_as_it_is(
    folder: Path, prompt: str, outcome: str
) -> None:
    image = await untouched(folder, prompt)
    assert [(each["models"], each["outcome"]) for each in image["substitutions"]] == [
        (["first"], "out_of_memory"),
        (["words"], outcome),
    ]


async def test_a_typesetter_that_fails_leaves_the_asset_as_it_is(folder: Path) -> None:
    image = await untouched(folder, SAYS, failing(errors.ModelFailed("broken")))
    assert [each["outcome"] for each in image["substitutions"]] == ["out_of_memory", "model_error"]

"""What every kind of model promises its replica, asked of each that needs no weights."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter

from deployments.catalog import ModelSpec, build_model
from deployments.model import Model
from deployments.types import EncodedImage, Encoding, ModelLoad, RenderRequest

PICTURE = np.full((32, 48, 3), 200, np.uint8)

KINDS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "echo": ({"kind": "echo"}, {"width": 48, "height": 32}),
    "typesetter": ({"kind": "typesetter"}, {"width": 128, "height": 64}),
    "upscaler": ({"kind": "upscaler"}, {"width": 96, "height": 64, "image": PICTURE}),
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def model(kind: str) -> Model:
    return build_model("m", TypeAdapter(ModelSpec).validate_python(KINDS[kind][0]))


@pytest.fixture
def ask(kind: str) -> Callable[..., RenderRequest]:
    def request(**fields: Any) -> RenderRequest:
        return RenderRequest("r", 'a badge that says "SALE"', seed=3, **{**KINDS[kind][1], **fields})

    return request


async def test_a_life_from_loading_to_closing(model: Model, ask: Callable[..., RenderRequest]) -> None:
    await model.load()
    model.check_health()
    request = ask(encoding=Encoding())
    result = await model.render(request)
    assert isinstance(result.image, EncodedImage)
    assert (result.image.width, result.image.height) == (request.width, request.height)
    receipt = result.receipt
    assert (receipt.model, receipt.revision) == ("m", model.revision)
    assert (receipt.width, receipt.height) == (request.width, request.height)
    assert receipt.run_ms >= 0
    load = model.load_report()
    assert isinstance(load, ModelLoad)
    assert (load.running, load.queued) == (0, 0)
    assert load.parallelism >= 1
    await model.close()


async def test_without_an_encoding_the_next_stage_gets_pixels(
    model: Model, ask: Callable[..., RenderRequest]
) -> None:
    await model.load()
    request = ask()
    image = (await model.render(request)).image
    assert isinstance(image, np.ndarray)
    assert image.dtype == np.uint8
    assert image.shape[:2] == (request.height, request.width)
    assert image.shape[2] in (3, 4)
    assert image.flags.c_contiguous
    await model.close()


async def test_the_same_request_gives_the_same_pixels(
    model: Model, ask: Callable[..., RenderRequest]
) -> None:
    await model.load()
    first, second = [await model.render(ask(encoding=Encoding())) for _ in range(2)]
    assert first.receipt.pixels_sha256 == second.receipt.pixels_sha256
    assert first.receipt.pixels_sha256 is not None
    assert first.image == second.image
    await model.close()

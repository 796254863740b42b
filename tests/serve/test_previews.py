"""Previews of a real pipeline's own latents, over real HTTP, as the official client reads them."""

import base64
import io
from collections.abc import Callable

import numpy as np
import openai
from PIL import Image

from deployments.types import Pixels
from tests.serve.painter import Painter


def decoded(b64_json: str) -> Pixels:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(b64_json))).convert("RGB"))


def test_previews_come_nearer_to_the_image(serve_painter: Callable[..., Painter]) -> None:
    painter = serve_painter()
    client = openai.OpenAI(base_url=f"{painter.url}/v1", api_key="none", max_retries=0, timeout=60)
    options = {"atelier": {"seed": 3, "steps": 8, "deterministic": True}}
    with client.images.generate(
        prompt="a red fox", stream=True, partial_images=2, extra_body=options
    ) as stream:
        first, second, done = list(stream)
    assert [first.type, second.type] == ["image_generation.partial_image"] * 2
    assert done.type == "image_generation.completed"
    pictures = [decoded(event.b64_json).astype(float) for event in (first, second, done)]
    assert all(picture.std() > 1 for picture in pictures), "a plain colour is no preview"
    away = [abs(picture - pictures[2]).mean() for picture in pictures[:2]]
    assert away[0] > away[1] > 0
    whole = client.images.generate(prompt="a red fox", extra_body=options)
    assert whole.data
    assert np.array_equal(decoded(whole.data[0].b64_json or ""), pictures[2])

"""Adapters by name through HTTP, with a real pipeline."""

from collections.abc import Callable
from pathlib import Path

from tests.deployments.diffusion.test_loras import write_lora
from tests.serve.painter import Painter, post


def test_an_adapter_is_asked_for_by_its_name(
    serve_painter: Callable[..., Painter], weights: Path, tmp_path: Path
) -> None:
    red = write_lora(weights, tmp_path / "red", seed=1, with_text=True)
    painter = serve_painter(loras={"red": {"weights": str(red)}})
    images = {}
    for name in (None, "red", None):
        status, answer = post(painter.url, {"prompt": "a fox", "atelier": {"seed": 3, "lora": name}})
        assert status == 200
        (image,) = answer["atelier"]["images"]
        assert image["stages"][0]["details"]["lora"] == name
        images.setdefault(name, set()).add(image["pixels_sha256"])
    assert len(images[None]) == len(images["red"]) == 1  # switching there and back changes nothing
    assert images[None] != images["red"]


def test_an_unknown_adapter_is_the_caller_s_mistake(serve_painter: Callable[..., Painter]) -> None:
    status, answer = post(serve_painter().url, {"prompt": "a fox", "atelier": {"lora": "gone"}})
    assert status == 400
    assert answer["error"]["param"] == "lora"
    assert answer["error"]["message"] == 'lora "gone" is unknown here; this model has: none'

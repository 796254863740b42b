from pathlib import Path

import pytest
from PIL import Image

from deployments.types import Encoding, ImageFormat
from routing.policy import PolicyError, load_policy
from routing.types import Capability, ModelFacts
from serve.rasters import RasterShelf

MODELS = {"m": ModelFacts("m", frozenset({Capability.GENERATE}))}
POLICY = "model_routing: []\ndefault: {model: m, raster_fallback: sale.png}\n"


async def test_a_checked_asset_is_answered_in_the_size_and_format_asked_for(tmp_path: Path) -> None:
    Image.new("RGB", (40, 20), "teal").save(tmp_path / "sale.png")
    shelf = RasterShelf(tmp_path)
    shelf.check(load_policy(POLICY, source="p.yaml", models=MODELS))
    (tmp_path / "sale.png").unlink()  # in memory from here on
    image = await shelf.image("sale.png", 64, 64, Encoding(ImageFormat.WEBP))
    assert (image.width, image.height, image.format) == (64, 64, ImageFormat.WEBP)


@pytest.mark.parametrize("content", [None, b"", b"not a picture"])
def test_a_policy_whose_asset_does_not_decode_is_refused(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "sale.png").write_bytes(content)
    with pytest.raises(PolicyError, match=r"raster_fallback.*sale\.png"):
        RasterShelf(tmp_path).check(load_policy(POLICY, source="p.yaml", models=MODELS))

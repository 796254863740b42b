import pytest
from pydantic import ValidationError

from deployments.upscaler.spec import UpscalerSpec


def test_unknown_keys_and_impossible_tiles_are_errors() -> None:
    UpscalerSpec(kind="upscaler")
    with pytest.raises(ValidationError, match="tile_size"):
        UpscalerSpec(kind="upscaler", tile_size=64)  # type: ignore[call-arg]
    with pytest.raises(ValidationError, match="overlap 40 is more than half of tile 64"):
        UpscalerSpec(kind="upscaler", tile=64, overlap=40)
    with pytest.raises(ValidationError, match="factor"):
        UpscalerSpec(kind="upscaler", factor=3)  # type: ignore[arg-type]

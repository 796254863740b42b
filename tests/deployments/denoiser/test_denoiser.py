"""The shipped weights, through the code that serves them."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from deployments import errors
from deployments.denoiser.model import DenoiserModel
from deployments.denoiser.spec import DenoiserSpec
from deployments.tiles.work import TileWork
from deployments.types import Pixels, RenderRequest, RenderResult

WEIGHTS = str(Path(__file__).parents[3] / "models" / "denoise_ui")
SPEC = DenoiserSpec(kind="denoiser", weights=WEIGHTS)


def panel() -> Pixels:
    """A card with a button, drawn at four times the size."""
    large = Image.new("RGB", (512, 384), (245, 246, 250))
    draw = ImageDraw.Draw(large)
    draw.rounded_rectangle((40, 40, 470, 340), 40, (255, 255, 255), (200, 204, 214), 4)
    draw.rounded_rectangle((80, 220, 300, 300), 40, (26, 115, 232))
    draw.ellipse((340, 80, 430, 170), (234, 67, 53))
    draw.rectangle((80, 90, 300, 110), (32, 33, 36))
    return np.asarray(large.resize((128, 96), Image.Resampling.BOX))


def jpeg(picture: Pixels, quality: int) -> Pixels:
    target = io.BytesIO()
    Image.fromarray(picture).save(target, "JPEG", quality=quality)
    return np.asarray(Image.open(target))


def psnr(picture: Pixels, truth: Pixels) -> float:
    return float(10 * np.log10(255**2 / np.mean((picture.astype(float) - truth) ** 2)))


async def rendered(image: Pixels, spec: DenoiserSpec = SPEC, **options: object) -> RenderResult:
    model = DenoiserModel("denoise_ui", spec)
    await model.load()
    try:
        return await model.render(RenderRequest("r", "", 0, 0, 0, image=image, options=options))
    finally:
        await model.close()


async def test_takes_jpeg_off_by_three_decibels_and_grain_too() -> None:
    truth = panel()
    grain = np.random.default_rng(0).normal(0, 6, truth.shape)
    for worn in (jpeg(truth, 40), np.clip(truth + grain, 0, 255).astype(np.uint8)):
        result = await rendered(worn)
        assert isinstance(result.image, np.ndarray)
        assert psnr(result.image, truth) >= psnr(worn, truth) + 3


async def test_clean_art_passes_nearly_unchanged() -> None:
    result = await rendered(panel())
    assert isinstance(result.image, np.ndarray)
    assert psnr(result.image, panel()) > 42


@pytest.mark.parametrize("size", [(1, 1), (2, 31), (33, 57)])
async def test_tiny_and_odd_sizes(size: tuple[int, int]) -> None:
    result = await rendered(np.full((*size, 3), (90, 160, 220), np.uint8))
    assert isinstance(result.image, np.ndarray)
    assert result.image.shape == (*size, 3)
    assert np.abs(result.image.astype(int) - (90, 160, 220)).max() <= 3


async def test_alpha_stays_as_it_is() -> None:
    alpha = np.random.default_rng(0).integers(0, 256, (96, 128, 1)).astype(np.uint8)
    result = await rendered(np.concatenate([panel(), alpha], 2))
    assert isinstance(result.image, np.ndarray)
    assert np.array_equal(result.image[..., 3:], alpha)


async def test_tiles_leave_no_seam() -> None:
    worn = jpeg(panel(), 30)
    backend = DenoiserModel("denoise_ui", SPEC)._load_backend()
    outputs = []
    for tile in (96, 256):
        work = TileWork(backend, SPEC.model_copy(update={"tile": tile}), 1, worn)
        assert (sum(work.steps()) > 1) == (tile == 96)
        outputs.append(work.output.astype(int))
    assert np.abs(outputs[0] - outputs[1]).max() <= 1


async def test_snaps_to_the_palette_of_the_spec_or_of_the_request() -> None:
    worn = jpeg(panel(), 70)
    brand = SPEC.model_copy(update={"palette": ("#1a73e8",), "snap_levels": 12})
    assert _count(await rendered(worn, brand), (26, 115, 232)) > 700
    assert _count(await rendered(worn, palette=["#1a73e8"], snap_levels=12), (26, 115, 232)) > 700
    assert _count(await rendered(worn, brand, palette=[]), (26, 115, 232)) < 700


async def test_the_automatic_palette_makes_areas_flat() -> None:
    worn = jpeg(panel(), 70)
    before, after = await rendered(worn), await rendered(worn, palette="auto")
    assert isinstance(before.image, np.ndarray)
    assert isinstance(after.image, np.ndarray)
    assert len(_colours(after.image)) < len(_colours(before.image)) / 2


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"palette": ["blue"]}, "options.palette"),
        ({"palette": "every"}, "options.palette"),
        ({"snap_levels": -1}, "options.snap_levels"),
    ],
)
async def test_bad_options_name_themselves(options: dict[str, object], param: str) -> None:
    with pytest.raises(errors.InvalidRequest) as refused:
        await rendered(panel(), **options)
    assert refused.value.param is not None
    assert refused.value.param.startswith(param)


def _count(result: RenderResult, colour: tuple[int, int, int]) -> int:
    assert isinstance(result.image, np.ndarray)
    return int((result.image == colour).all(-1).sum())


def _colours(pixels: Pixels) -> np.ndarray:
    return np.unique(pixels.reshape(-1, 3), axis=0)


async def test_tiles_too_small_for_the_blocks_of_jpeg_are_refused_when_the_model_loads() -> None:
    spec = DenoiserSpec(kind="denoiser", weights=WEIGHTS, tile=40, overlap=20)
    with pytest.raises(
        ValueError, match="steps of 16 pixels: with overlap 20 a tile needs 64 or more, not 40"
    ):
        await rendered(panel(), spec)

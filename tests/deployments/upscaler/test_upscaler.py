"""The shipped weights, through the code that serves them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from deployments.tiles.backend import Backend
from deployments.tiles.work import TileWork
from deployments.types import Pixels, RenderRequest
from deployments.upscaler.backends import LanczosBackend, load_backend
from deployments.upscaler.model import UpscalerModel
from deployments.upscaler.spec import UpscalerSpec

WEIGHTS = str(Path(__file__).parents[3] / "models" / "upscale_2x")
SWIN = UpscalerSpec(kind="upscaler", weights=WEIGHTS, tile=64, overlap=32)


@pytest.fixture(scope="module")
def swin() -> Backend:
    return load_backend(SWIN)


def drawing(side: int) -> Image.Image:
    """Shapes with smooth edges: drawn at eight times the size, then averaged."""
    large = Image.new("RGB", (side * 8, side * 8), (250, 244, 230))
    draw, unit = ImageDraw.Draw(large), side * 8 / 16
    draw.ellipse((unit, unit, 9 * unit, 9 * unit), (220, 60, 70))
    draw.rounded_rectangle((6 * unit, 7 * unit, 15 * unit, 14 * unit), unit, (40, 90, 200))
    draw.line((unit, 15 * unit, 15 * unit, unit), (20, 20, 30), round(unit / 3))
    return large.resize((side, side), Image.Resampling.BOX)


def through(work: TileWork) -> Pixels:
    assert sum(work.steps()) == work.tiles
    return work.output


def psnr(picture: Pixels, truth: Pixels) -> float:
    return float(10 * np.log10(255**2 / np.mean((picture.astype(float) - truth) ** 2)))


def test_beats_bicubic_by_three_decibels_on_a_drawing_it_never_saw(swin: Backend) -> None:
    truth = drawing(96)
    small = truth.resize((48, 48), Image.Resampling.BICUBIC)
    bicubic = np.asarray(small.resize((96, 96), Image.Resampling.BICUBIC))
    enlarged = through(TileWork(swin, SWIN, 2, np.asarray(small)))
    assert psnr(enlarged, np.asarray(truth)) >= psnr(bicubic, np.asarray(truth)) + 3


@pytest.mark.parametrize("kind", ["drawing", "noise"])
def test_tiles_leave_no_seam(swin: Backend, kind: str) -> None:
    """Tiled and untiled differ by at most one level anywhere, so also where tiles meet."""
    noise = np.random.default_rng(3).integers(0, 256, (96, 96, 3)).astype(np.uint8)
    picture = np.asarray(drawing(96)) if kind == "drawing" else noise
    tiled = TileWork(swin, SWIN, 2, picture)
    whole = TileWork(swin, SWIN.model_copy(update={"tile": 256}), 2, picture)
    assert (tiled.tiles, whole.tiles) == (9, 1)
    assert np.abs(through(tiled).astype(int) - through(whole)).max() <= 1


@pytest.mark.parametrize("size", [(1, 1), (3, 70), (17, 9)])
def test_tiny_and_odd_sizes(swin: Backend, size: tuple[int, int]) -> None:
    flat = np.full((*size, 3), (200, 120, 40), np.uint8)
    enlarged = through(TileWork(swin, SWIN, 2, flat))
    assert enlarged.shape == (size[0] * 2, size[1] * 2, 3)
    assert np.abs(enlarged.astype(int) - (200, 120, 40)).max() <= 3


def test_a_cut_out_keeps_its_shape_and_colour(swin: Backend) -> None:
    """A disc over transparent black: its edge stays soft, its inside opaque, and no black is mixed in."""
    large = Image.new("L", (320, 320))
    ImageDraw.Draw(large).ellipse((60, 60, 260, 260), 255)
    alpha = np.asarray(large.resize((40, 40), Image.Resampling.BOX))
    cut_out = np.dstack([np.where(alpha[..., None] > 0, (250, 200, 60), 0).astype(np.uint8), alpha])
    enlarged = through(TileWork(swin, SWIN, 2, cut_out))
    truth = np.asarray(large.resize((80, 80), Image.Resampling.BOX))
    assert psnr(enlarged[..., 3], truth) > 30
    visible = enlarged[..., 3] > 8
    assert np.abs(enlarged[visible][:, :3].astype(int) - (250, 200, 60)).max() <= 6


def test_four_times_is_twice_twice(swin: Backend) -> None:
    small = np.asarray(drawing(24))
    twice = through(TileWork(swin, SWIN, 2, through(TileWork(swin, SWIN, 2, small))))
    assert np.array_equal(through(TileWork(swin, SWIN, 4, small)), twice)


async def test_the_model_gives_the_same_pixels_every_time_and_names_its_weights() -> None:
    request = RenderRequest("r", "", 0, 0, seed=1, image=np.asarray(drawing(40)))
    results = []
    for _ in range(2):
        model = UpscalerModel("upscale_2x", SWIN)
        await model.load()
        results.append(await model.render(request))
        await model.close()
    assert results[0].receipt.pixels_sha256 == results[1].receipt.pixels_sha256
    assert results[0].receipt.revision == results[1].receipt.revision
    assert results[0].receipt.revision.startswith("sha256-")


def test_lanczos_needs_no_weights() -> None:
    picture = np.asarray(drawing(70))
    spec = UpscalerSpec(kind="upscaler", factor=4, tile=32, overlap=16)
    enlarged = through(TileWork(LanczosBackend(4), spec, 4, picture))
    whole = Image.fromarray(picture).resize((280, 280), Image.Resampling.LANCZOS)
    assert np.abs(enlarged.astype(int) - np.asarray(whole)).max() <= 1


def test_weights_that_cannot_make_the_factor_are_refused(tmp_path: Path) -> None:
    from transformers import Swin2SRConfig, Swin2SRForImageSuperResolution

    tiny = Swin2SRConfig(
        embed_dim=8, depths=[1], num_heads=[1], window_size=4, upscale=3, upsampler="pixelshuffledirect"
    )
    Swin2SRForImageSuperResolution(tiny).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="3x cannot make 4x"):
        load_backend(UpscalerSpec(kind="upscaler", weights=str(tmp_path), factor=4))


def test_a_hub_id_without_a_pinned_revision_is_refused() -> None:
    with pytest.raises(ValueError, match="nor pinned"):
        load_backend(UpscalerSpec(kind="upscaler", weights="someone/swin2sr"))

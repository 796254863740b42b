"""Real pipelines of diffusers, tiny and untrained, through the tiles and the model that serve large ones."""

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from deployments.diffusion.tiny import build_tiny
from deployments.tiles.backend import Backend
from deployments.tiles.grid import Tile
from deployments.tiles.work import TileWork
from deployments.types import Pixels, RenderRequest
from deployments.upscaler.backends import LanczosBackend, load_backend
from deployments.upscaler.footprint import LiveTensors
from deployments.upscaler.model import UpscalerModel
from deployments.upscaler.noise import placed_noise, seed_of
from deployments.upscaler.spec import DiffusionUpscaling, UpscalerSpec
from tests.deployments.upscaler.pipelines import build

FACTORS = {"latent": 2, "fourfold": 4}
TILES = {2: (128, 64), 4: (32, 16)}
"""Side and overlap, by factor. A picture of 1.25 by 2.25 tiles is cut into several."""
PICTURES = {
    factor: np.random.default_rng(5).integers(0, 256, (side * 5 // 4, side * 9 // 4, 3), np.uint8)
    for factor, (side, _) in TILES.items()
}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("pipelines")
    return {kind: build(kind, folder / kind) for kind in ("latent", "fourfold")}


def spec(weights: str, factor: int, steps: int = 2, **more: Any) -> UpscalerSpec:
    """`more` is of the run, but for tile and overlap."""
    side, overlap = TILES[2 if "latent" in weights else 4]
    tiles = {"tile": more.pop("tile", side), "overlap": more.pop("overlap", overlap)}
    return UpscalerSpec.model_validate(
        {
            "kind": "upscaler",
            "weights": weights,
            "factor": factor,
            **tiles,
            "diffusion": {"steps": steps, **more},
        }
    )


@pytest.fixture(scope="module", params=FACTORS)
def served(request: pytest.FixtureRequest, weights: dict[str, str]) -> tuple[UpscalerSpec, Backend]:
    of = spec(weights[request.param], FACTORS[request.param])
    return of, load_backend(of)


def through(work: TileWork) -> Pixels:
    assert sum(work.steps()) == work.tiles
    return work.output


def test_a_tile_is_a_run_of_the_pipeline_itself(served: tuple[UpscalerSpec, Backend]) -> None:
    """With the noise of the tile's place, and nothing else beside."""
    of, backend = served
    side = of.tile
    tile = PICTURES[of.factor][None, :side, :side]
    place = Tile(side, 2 * side)
    pipeline: Any = backend._pipeline  # type: ignore[attr-defined]
    scale = 2 / 8 if of.factor == 2 else 1
    more = {} if of.factor == 2 else {"noise_level": 20}
    pixels = torch.from_numpy(tile).permute(0, 3, 1, 2).float() / 255
    with torch.inference_mode():
        latents = pipeline.vae.encode(pixels * 2 - 1).latent_dist.mode() * pipeline.vae.config.scaling_factor
        expected = pipeline(
            prompt="",
            image=latents if of.factor == 2 else pixels,
            num_inference_steps=2,
            guidance_scale=0.0,
            latents=torch.from_numpy(placed_noise([place], (side, side), 4, backend.align, scale)),
            generator=torch.Generator().manual_seed(seed_of(place)),
            output_type="np",
            **more,
        ).images[0]
    found = backend.compute(tile, [place])[0]
    assert found.shape == (side * of.factor, side * of.factor, 3)
    assert np.abs(found.astype(int) - np.round(expected * 255)).max() <= 1
    assert found.std() > 1, "something is painted"
    assert not np.array_equal(found, backend.compute(tile, [Tile(0, 0)])[0]), "another place, other noise"


@pytest.mark.parametrize("size", [(1, 1), (17, 40), (None, None)])
def test_every_size_comes_out_whole_and_the_same_every_time(
    served: tuple[UpscalerSpec, Backend], size: tuple[int | None, int | None]
) -> None:
    of, backend = served
    picture = np.ascontiguousarray(PICTURES[of.factor][: size[0], : size[1]])
    first, second = (through(TileWork(backend, of, of.factor, picture)) for _ in range(2))
    assert first.shape == (picture.shape[0] * of.factor, picture.shape[1] * of.factor, 3)
    assert np.array_equal(first, second)


def test_a_latent_pipeline_run_twice_makes_four_times(weights: dict[str, str]) -> None:
    of = spec(weights["latent"], 4, steps=1)
    backend = load_backend(of)
    small = np.ascontiguousarray(PICTURES[2][:70, :20])
    once = through(TileWork(backend, of, 2, small))
    assert np.array_equal(through(TileWork(backend, of, 4, small)), through(TileWork(backend, of, 2, once)))


def test_transparency_is_resampled_not_painted(served: tuple[UpscalerSpec, Backend]) -> None:
    of, backend = served
    picture = PICTURES[of.factor]
    alpha = np.linspace(0, 255, picture[..., 0].size).reshape(picture.shape[:2]).astype(np.uint8)
    output = through(TileWork(backend, of, of.factor, np.dstack([picture, alpha])))
    resampled = TileWork(LanczosBackend(of.factor), of, of.factor, np.repeat(alpha[..., None], 3, axis=2))
    assert np.abs(output[..., 3].astype(int) - through(resampled)[..., 0]).max() <= 1


def test_a_batch_gives_what_its_tiles_give_alone(served: tuple[UpscalerSpec, Backend]) -> None:
    of, backend = served
    side = of.tile
    tiles = np.stack([PICTURES[of.factor][:side, :side], PICTURES[of.factor][:side, side : 2 * side]])
    places = [Tile(0, 0), Tile(0, side)]
    together = backend.compute(tiles, places)
    alone = [backend.compute(tiles[each : each + 1], places[each : each + 1])[0] for each in range(2)]
    assert np.abs(together.astype(int) - np.stack(alone)).max() <= 1


def test_noise_belongs_to_the_picture_so_overlapping_tiles_share_it() -> None:
    left, right, below = placed_noise([Tile(0, 0), Tile(0, 16), Tile(16, 16)], (32, 32), 4, 16, 0.25)
    assert left.shape == (4, 8, 8)
    assert np.array_equal(left[:, :, 4:], right[:, :, :4])
    assert np.array_equal(right[:, 4:], below[:, :4])
    assert not np.array_equal(left[:, :4, :4], left[:, 4:, 4:])
    many = placed_noise([Tile(0, 0)], (512, 512), 4, 16, 0.25)
    assert abs(many.mean()) < 0.02
    assert abs(many.std() - 1) < 0.02


def test_live_tensors_count_what_is_held_at_once() -> None:
    before = torch.zeros(1000)
    with LiveTensors() as live:
        first = before + 1
        second = (first * 2).view(10, 100)
        del first
        third = second.t().contiguous()
        assert live.peak_bytes == 2 * 4000
        fourth = third + third
    assert live.peak_bytes == 3 * 4000
    del fourth


def test_a_tile_takes_no_less_than_it_was_measured_to(served: tuple[UpscalerSpec, Backend]) -> None:
    of, backend = served
    for side in (backend.align, of.tile):
        with LiveTensors() as live:
            backend.compute(np.zeros((1, side, side, 3), np.uint8), [Tile(0, 0)])
        assert backend.tile_bytes(side, side) >= live.peak_bytes * 0.99


async def test_the_model_serves_it_inside_its_budget_and_stops_between_tiles(weights: dict[str, str]) -> None:
    of = spec(weights["latent"], 2)
    model = UpscalerModel("painted_2x", of)
    await model.load()
    try:
        request = RenderRequest("r", "ignored", 0, 0, seed=1, image=PICTURES[2])
        results = [await model.render(request) for _ in range(2)]
        receipt = results[0].receipt
        assert receipt.pixels_sha256 == results[1].receipt.pixels_sha256
        assert receipt.revision.startswith("sha256:")
        assert receipt.details["backend"] == "StableDiffusionLatentUpscalePipeline"
        assert receipt.details["reserved_bytes"] <= of.tile_memory_bytes
        backend = model._loaded
        computed, begun = 0, asyncio.Event()
        loop, compute = asyncio.get_running_loop(), backend.compute

        def counted(*arguments: Any) -> Any:
            nonlocal computed
            computed += 1
            loop.call_soon_threadsafe(begun.set)
            return compute(*arguments)

        backend.compute = counted  # type: ignore[method-assign]
        task = asyncio.ensure_future(model.render(request))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await model._in_worker(lambda: None)
        assert computed < receipt.details["tiles"]
    finally:
        await model.close()


@pytest.mark.parametrize(
    ("kind", "factor", "more", "message"),
    [
        ("fourfold", 2, {}, "4x cannot make 2x"),
        ("latent", 2, {"noise_level": 5}, "noise_level is of 4x pipelines"),
        ("fourfold", 4, {"noise_level": 91}, "noise_level 91 is over 90"),
        ("latent", 2, {"tile": 127, "overlap": 60}, "with overlap 60 a tile needs 128 or more, not 127"),
    ],
)
def test_what_does_not_fit_the_weights_is_refused_when_they_load(
    weights: dict[str, str], kind: str, factor: int, more: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        load_backend(spec(weights[kind], factor, steps=1, **more))


def test_other_weights_are_refused_by_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no model_index\.json"):
        load_backend(spec(str(tmp_path), 2))
    with pytest.raises(ValueError, match="are a StableDiffusionPipeline: use a StableDiffusionLatentUpscale"):
        load_backend(spec(str(build_tiny("sd", tmp_path / "sd")), 2))
    with pytest.raises(ValueError, match="not a folder here"):
        load_backend(spec(str(tmp_path / "absent"), 2))


def test_the_config_is_closed() -> None:
    with pytest.raises(ValueError, match="diffusion needs weights"):
        UpscalerSpec(kind="upscaler", diffusion=DiffusionUpscaling())
    with pytest.raises(ValueError, match="strength"):
        DiffusionUpscaling(strength=1)  # type: ignore[call-arg]

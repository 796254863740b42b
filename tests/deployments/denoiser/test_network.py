from pathlib import Path

import numpy as np
import pytest
import torch

from deployments.denoiser import network
from deployments.denoiser.backend import DenoiserBackend
from deployments.denoiser.network import TwoScaleDenoiser
from deployments.tiles.grid import Tile


def test_untrained_it_is_the_identity() -> None:
    pixels = torch.rand(2, 3, 16, 48)
    assert torch.equal(TwoScaleDenoiser()(pixels), pixels)


def test_it_is_small() -> None:
    assert sum(tensor.numel() for tensor in TwoScaleDenoiser().parameters()) <= 200_000


def test_output_depends_on_no_pixel_beyond_its_reach() -> None:
    torch.manual_seed(0)
    wild = TwoScaleDenoiser(8, 12)
    torch.nn.init.normal_(wild.last.weight)
    pixels = torch.rand(1, 3, 160, 160)
    changed = pixels.clone()
    changed[..., 80, 80] += 1
    with torch.inference_mode():
        moved = (wild(pixels) != wild(changed)).any(1)[0].nonzero()
    assert (moved - 80).abs().max() <= wild.reach + 3, "and the pixels beside it in its block of four"


def test_it_knows_where_the_blocks_of_a_file_begin() -> None:
    """What is shifted by whole periods is restored alike, by less than one otherwise."""
    torch.manual_seed(0)
    wild = TwoScaleDenoiser(8, 12)
    torch.nn.init.normal_(wild.last.weight)
    torch.nn.init.normal_(wild.place)
    pixels = torch.rand(1, 3, 256, 256)
    inner = slice(112, 144)
    with torch.inference_mode():
        there = wild(pixels)[..., inner, inner]
        for shift in (network.PERIOD, network.PERIOD // 2):
            shifted = wild(pixels.roll(shift, 3)).roll(-shift, 3)[..., inner, inner]
            assert torch.allclose(shifted, there, atol=1e-5) == (shift == network.PERIOD)


def test_weights_survive_the_disk(tmp_path: Path) -> None:
    torch.manual_seed(0)
    wild = TwoScaleDenoiser(8, 12)
    torch.nn.init.normal_(wild.last.weight)
    network.save(wild, tmp_path)
    pixels = torch.rand(1, 3, 16, 16)
    with torch.inference_mode():
        assert torch.equal(network.load(tmp_path)(pixels), wild(pixels))
        in_place = wild(pixels)
    assert torch.equal(in_place, wild(pixels)), "with gradients and without"
    tiles = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype(np.uint8)
    places = [Tile(0, 0), Tile(0, 32)]
    backend = DenoiserBackend(tmp_path)
    assert backend.margin % backend.align == 0, "tiles begin where JPEG's blocks do"
    assert np.array_equal(backend.compute(tiles, places), backend.compute(tiles, places))


def test_another_architecture_is_refused(tmp_path: Path) -> None:
    network.save(TwoScaleDenoiser(8, 12), tmp_path)
    (tmp_path / network.CONFIG_FILE).write_text('{"architecture": "Other"}')
    with pytest.raises(ValueError, match="names architecture 'Other'"):
        DenoiserBackend(tmp_path)
    with pytest.raises(ValueError, match="not a folder"):
        DenoiserBackend(tmp_path / "absent")

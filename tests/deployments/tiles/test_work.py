import numpy as np
import pytest

from deployments import errors
from deployments.tiles.spec import TiledSpec
from deployments.tiles.work import TileWork
from deployments.types import Pixels
from tests.deployments.tiles.backends import Repeating

SPEC = TiledSpec(tile=48, overlap=16)


def image(height: int, width: int, channels: int = 3) -> Pixels:
    return np.random.default_rng(2).integers(0, 256, (height, width, channels)).astype(np.uint8)


def finished(work: TileWork) -> Pixels:
    assert sum(work.steps()) == work.tiles
    return work.output


@pytest.mark.parametrize("size", [(1, 1), (1, 90), (33, 47), (64, 64), (130, 71)])
@pytest.mark.parametrize("factor", [2, 4])
def test_every_size_comes_out_whole(size: tuple[int, int], factor: int) -> None:
    picture = image(*size)
    output = finished(TileWork(Repeating(), SPEC, factor, picture))
    assert np.array_equal(output, picture.repeat(factor, 0).repeat(factor, 1))


@pytest.mark.parametrize("factor", [2, 4])
def test_transparency_is_enlarged_like_a_picture(factor: int) -> None:
    picture = image(70, 50, 4)
    output = finished(TileWork(Repeating(), SPEC, factor, picture))
    enlarged = picture.repeat(factor, 0).repeat(factor, 1)
    assert np.array_equal(output[..., 3], enlarged[..., 3])
    visible = enlarged[..., 3] > 0
    assert np.array_equal(output[visible], enlarged[visible])


def test_an_opaque_alpha_costs_nothing() -> None:
    picture = image(40, 40, 4)
    picture[..., 3] = 255
    opaque, plain = (TileWork(Repeating(), SPEC, 2, part) for part in (picture, picture[..., :3]))
    assert opaque.tiles == plain.tiles
    assert (finished(opaque)[..., 3] == 255).all()


def test_with_factor_1_transparency_stays_as_it_is() -> None:
    picture = image(40, 60, 4)
    work = TileWork(Repeating(factor=1), SPEC, 1, picture)
    assert np.array_equal(finished(work)[..., 3], picture[..., 3])


def test_the_batch_is_what_fits_the_memory() -> None:
    spec = TiledSpec(tile=128, overlap=16, tile_memory_bytes=1 << 20)
    picture = image(150, 150)
    assert TileWork(Repeating(pixel_bytes=10), spec, 2, picture).tile_batch == 4
    tight = TileWork(Repeating(pixel_bytes=40), spec, 2, picture)
    assert tight.tile_batch == 1
    assert tight.reserved_bytes <= 1 << 20


def test_what_does_not_fit_at_all_is_refused_with_numbers() -> None:
    spec = TiledSpec(tile=128, tile_memory_bytes=1 << 20)
    with pytest.raises(errors.OutOfMemory, match="2 MiB to compute, this replica grants 1 MiB"):
        TileWork(Repeating(), spec, 2, image(325, 325))
    assert TileWork(Repeating(), spec, 2, image(150, 150)).tile_batch == 4
    with pytest.raises(errors.OutOfMemory, match="2 MiB"):
        TileWork(Repeating(), spec, 2, image(150, 150), encoder_pixel_bytes=20)


def test_out_of_memory_halves_the_batch_and_goes_on() -> None:
    backend, picture = Repeating(fits=1), image(130, 130)
    work = TileWork(backend, SPEC, 2, picture)
    assert np.array_equal(finished(work), picture.repeat(2, 0).repeat(2, 1))
    assert work.tile_batch == 1
    assert set(backend.batches) == {1}
    assert backend.releases == 2, "from 4 to 2, and from 2 to 1; later batches start small"


def test_out_of_memory_with_one_tile_is_the_end() -> None:
    work = TileWork(Repeating(fits=0), SPEC, 2, image(130, 130))
    with pytest.raises(errors.OutOfMemory, match="one tile"):
        finished(work)


def test_other_failures_are_not_taken_for_memory() -> None:
    backend = Repeating()
    backend.compute = lambda tiles, places: 1 / 0  # type: ignore[method-assign,assignment,return-value]
    with pytest.raises(ZeroDivisionError):
        finished(TileWork(backend, SPEC, 2, image(9, 9)))
    assert backend.releases == 0

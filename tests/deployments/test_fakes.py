import asyncio

import numpy as np
import pytest

from deployments import errors
from deployments.types import RenderRequest
from tests.serve.gateways import echo


def request(seed: int, **fields: object) -> RenderRequest:
    return RenderRequest("r", "x", 8, 4, seed, **fields)  # type: ignore[arg-type]


async def test_the_seed_is_the_picture() -> None:
    first, again, other = [(await echo("m").render(request(seed))).image for seed in (1, 1, 2)]
    assert isinstance(first, np.ndarray)
    assert first.shape == (4, 8, 3)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


async def test_an_echoing_upscaler_grows_its_input_and_needs_one() -> None:
    model = echo("m", capability="upscale", scale=2)
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    grown = (await model.render(request(1, image=pixels))).image
    assert isinstance(grown, np.ndarray)
    assert np.array_equal(grown[::2, ::2], pixels)
    with pytest.raises(errors.InvalidRequest):
        await model.render(request(1))


async def test_no_more_run_at_once_than_it_has_places() -> None:
    model = echo("m", concurrency=1, latency_ms=5)
    calls = [asyncio.create_task(model.render(request(seed))) for seed in range(3)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    load = model.load_report()
    assert (load.running, load.queued) == (1, 2)
    assert 10 < load.wait_ms <= 15, "what is left of the first, then the other two"
    await asyncio.gather(*calls)
    assert model.load_report().queued == 0


async def test_work_is_what_is_left_spread_over_the_places_it_fills() -> None:
    model = echo("m", latency_ms=100_000, concurrency=2)
    tasks = []
    for seed, work_s in enumerate((100, 100, 150)):
        tasks.append(asyncio.create_task(model.render(request(seed))))
        await asyncio.sleep(0)
        assert model.load_report().work_ms == pytest.approx(1000 * work_s, rel=0.01)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert model.load_report().work_ms == 0

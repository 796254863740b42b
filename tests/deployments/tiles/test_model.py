import asyncio
import hashlib
import time
from collections.abc import Sequence

import numpy as np
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from deployments import errors, images
from deployments.spec import Pricing
from deployments.tiles import model as tiled
from deployments.tiles import pace
from deployments.tiles.backend import Backend
from deployments.tiles.grid import Tile
from deployments.tiles.model import TiledModel
from deployments.tiles.spec import TiledSpec
from deployments.types import EncodedImage, Encoding, ImageFormat, Pixels, RenderRequest
from tests.deployments.tiles.backends import Repeating

SPEC = TiledSpec(tile=48, overlap=16, tile_batch=1)


class RepeatingModel(TiledModel):
    span = "upscale"

    def __init__(self, backend: Repeating, spec: TiledSpec = SPEC) -> None:
        super().__init__("repeat_2x", spec, backend.factor)
        self.repeating = backend

    def _load_backend(self) -> Backend:
        return self.repeating


async def loaded(backend: Repeating | None = None, spec: TiledSpec = SPEC) -> RepeatingModel:
    model = RepeatingModel(backend or Repeating(), spec)
    await model.load()
    return model


def request(image: Pixels | None, **changes: object) -> RenderRequest:
    return RenderRequest("r1", "", 0, 0, 7, image=image, **changes)  # type: ignore[arg-type]


def picture(height: int = 40, width: int = 50, channels: int = 3) -> Pixels:
    return np.random.default_rng(height).integers(0, 256, (height, width, channels)).astype(np.uint8)


async def test_result_and_receipt() -> None:
    spec = TiledSpec(num_gpus=0.5, pricing=Pricing(usd_per_gpu_hour=3600, usd_per_image=1), tile_batch=1)
    model = await loaded(spec=spec)
    result = await model.render(request(picture()))
    assert isinstance(result.image, np.ndarray)
    assert np.array_equal(result.image, picture().repeat(2, 0).repeat(2, 1))
    receipt = result.receipt
    assert (receipt.model, receipt.revision, receipt.width, receipt.height) == (
        "repeat_2x",
        "repeating-1",
        100,
        80,
    )
    assert receipt.pixels_sha256 == hashlib.sha256(result.image.tobytes()).hexdigest()
    assert receipt.seed is None
    assert 0 < receipt.gpu_s <= receipt.run_ms / 1000
    assert receipt.cost_usd == pytest.approx(1 + receipt.gpu_s)
    assert receipt.details["backend"] == "repeating"
    assert receipt.details["tiles"] == 1


async def test_the_last_stage_encodes() -> None:
    model = await loaded()
    image = picture(130, 70, 4)
    opaque = (await model.render(request(image, encoding=Encoding(ImageFormat.PNG)))).image
    kept = (await model.render(request(image, encoding=Encoding(ImageFormat.PNG, transparent=True)))).image
    raw = (await model.render(request(image))).image
    assert isinstance(opaque, EncodedImage)
    assert isinstance(kept, EncodedImage)
    assert isinstance(raw, np.ndarray)
    assert np.array_equal(images.decode(kept.data), raw)
    assert np.array_equal(images.decode(opaque.data), images.flatten(raw))


@pytest.mark.parametrize(
    ("bad", "error", "param"),
    [
        (request(None), errors.InvalidRequest, "image"),
        (request(np.zeros((4, 4), np.uint8)), errors.InvalidRequest, "image"),
        (request(np.zeros((4, 4, 3), np.float32)), errors.InvalidRequest, "image"),
        (request(np.zeros((0, 4, 3), np.uint8)), errors.InvalidRequest, "image"),
        (request(picture(), encoding=Encoding(ImageFormat.SVG)), errors.Unsupported, "output_format"),
    ],
)
async def test_bad_requests_name_what_is_wrong(bad: RenderRequest, error: type, param: str) -> None:
    with pytest.raises(error) as raised:
        await (await loaded()).render(bad)
    assert raised.value.param == param


async def test_too_large_an_output_is_for_another_model() -> None:
    model = await loaded(spec=TiledSpec(max_pixels=6400))
    await model.render(request(picture(40, 40)))
    with pytest.raises(errors.Unsupported, match="82x80 exceeds 6400 pixels"):
        await model.render(request(picture(40, 41)))


async def test_many_requests_share_one_budget_and_none_exceeds_it() -> None:
    backend = Repeating()
    spec = TiledSpec(tile=48, overlap=16, tile_batch=1, tile_memory_bytes=1 << 20)
    model = await loaded(backend, spec)
    image = picture(190, 190)
    used: list[int] = []
    compute = backend.compute

    def watched(tiles: Pixels, places: Sequence[Tile]) -> Pixels:
        used.append(model.load_report().memory_bytes)
        return compute(tiles, places)

    backend.compute = watched  # type: ignore[method-assign]
    results = await asyncio.gather(*(model.render(request(image)) for _ in range(16)))
    assert all(np.array_equal(result.image, results[0].image) for result in results)
    one = results[0].receipt.details["reserved_bytes"]
    assert one <= max(used) <= 1 << 20
    assert (1 << 20) // one == 2, "the test means to have room for two"
    assert max(used) == 2 * one
    assert model.load_report().memory_bytes == 0


async def test_requests_take_turns_so_that_a_small_one_need_not_wait_for_a_large_one() -> None:
    backend = Repeating()
    model = await loaded(backend)
    backend.hold.clear()
    backend.computing.clear()
    large = asyncio.create_task(model.render(request(picture(400, 400))))
    await asyncio.to_thread(backend.computing.wait, 10)
    small = asyncio.create_task(model.render(request(picture(8, 8))))
    await asyncio.sleep(0)
    report = model.load_report()
    backend.hold.set()
    await small
    assert not large.done()
    await large
    assert report.running >= 1
    assert report.wait_ms > 0


async def test_cancelling_stops_before_the_next_tile_and_frees_the_memory_after_the_current_one() -> None:
    backend = Repeating()
    model = await loaded(backend)
    backend.batches.clear()
    backend.hold.clear()
    backend.computing.clear()
    render = asyncio.create_task(model.render(request(picture(400, 400))))
    await asyncio.to_thread(backend.computing.wait, 10)
    render.cancel()
    with pytest.raises(asyncio.CancelledError):
        await render
    assert model.load_report().memory_bytes > 0, "the thread still works on a tile"
    assert model.load_report().running == 0
    backend.hold.set()
    await model.render(request(picture(8, 8)))
    assert len(backend.batches) == 2, "the tile in work and the small image"
    assert model.load_report().memory_bytes == 0


async def test_a_failure_frees_the_memory() -> None:
    backend = Repeating(fits=0)
    model = RepeatingModel(backend)
    backend.fits = 1000
    await model.load()
    backend.fits = 0
    with pytest.raises(errors.OutOfMemory):
        await model.render(request(picture()))
    backend.fits = 1000
    await model.render(request(picture()))
    assert model.load_report().memory_bytes == 0


async def test_learns_its_pace_and_refuses_what_cannot_end_in_time() -> None:
    model = await loaded()
    for _ in range(pace.TRUSTED_OBSERVATIONS):
        await model.render(request(picture(160, 160), deadline_unix_s=time.time() + 60))
    report = model.load_report()
    assert report.observed == pace.TRUSTED_OBSERVATIONS
    assert report.step_ms_per_megapixel > 0
    with pytest.raises(errors.DeadlineExceeded) as refused:
        await model.render(request(picture(1000, 1000), deadline_unix_s=time.time() + 1e-4))
    assert refused.value.predicted_ms is not None
    assert refused.value.predicted_ms > 1e-1


async def test_progress_is_reported_tile_by_tile(monkeypatch: pytest.MonkeyPatch) -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    model = await loaded()
    monkeypatch.setattr(tiled, "tracer", provider.get_tracer("test"))
    await model.render(request(picture(100, 40), encoding=Encoding()))
    upscale, encode = exporter.get_finished_spans()
    assert (upscale.name, encode.name) == ("upscale", "encode_image")
    done = [event.attributes["atelier.tiles_done"] for event in upscale.events if event.attributes]
    assert done == list(range(1, len(done) + 1))
    assert upscale.attributes is not None
    assert upscale.attributes["atelier.tiles"] == len(done) > 1

"""DiffusionModel as a replica uses it: real pipelines, the real engine, no Ray."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from deployments import errors, images, telemetry
from deployments.diffusion.model import DiffusionModel
from deployments.diffusion.pipelines import PipelineSet
from deployments.types import EncodedImage, Encoding, ImageFormat, PartialImage
from deployments.verify import verify
from tests.deployments.diffusion.conftest import (
    SIZE,
    MakeModel,
    MakeSpec,
    diffusers_own,
    half_mask,
    picture,
    request,
    task,
    until,
)


async def test_it_renders_what_diffusers_renders_and_says_how(
    make_model: MakeModel, pipelines: Callable[[str], PipelineSet]
) -> None:
    model = await make_model()
    result = await model.render(request(seed=7))
    assert np.array_equal(result.image, diffusers_own(pipelines("sd"), task(seed=7)))
    receipt = result.receipt
    assert (receipt.model, receipt.seed, receipt.steps, receipt.width, receipt.height) == (
        "tiny",
        7,
        3,
        SIZE,
        SIZE,
    )
    assert receipt.revision == model.revision
    assert receipt.pixels_sha256 == images.sha256(result.image)
    assert receipt.queue_ms >= 0
    assert receipt.run_ms > 0
    assert receipt.details["scheduler"] == "EulerDiscreteScheduler"
    assert receipt.details["dtype"] == "float32"
    assert receipt.details["steps_by_batch_size"] == {"1": 3}
    assert receipt.details["libraries"]["torch"] == torch.__version__


async def test_an_encoding_gives_a_file(make_model: MakeModel) -> None:
    model = await make_model()
    result = await model.render(request(encoding=Encoding(ImageFormat.WEBP)))
    assert isinstance(result.image, EncodedImage)
    assert images.decode(result.image.data).shape == (SIZE, SIZE, 3)


async def test_deterministic_pixels_do_not_depend_on_load(make_model: MakeModel) -> None:
    model = await make_model(steady_width=4)
    quiet = await model.render(request(seed=1, deterministic=True))
    others = [request(seed=seed, steps=2 + seed, deterministic=seed % 2 == 0) for seed in range(2, 9)]
    again = [request(seed=1, deterministic=True) for _ in range(3)]
    busy = await asyncio.gather(*(model.render(one) for one in [*others[:3], *again, *others[3:]]))
    hashes = {one.receipt.pixels_sha256 for one in busy if one.receipt.seed == 1}
    assert hashes == {quiet.receipt.pixels_sha256}
    assert quiet.receipt.details["deterministic"] is True


async def test_edits(make_model: MakeModel) -> None:
    """An inpainted image keeps the general look where the mask says so."""
    model = await make_model()
    edited = await model.render(request(image=picture(3), strength=0.5))
    assert edited.receipt.details["pipeline"] == "StableDiffusionImg2ImgPipeline"
    assert edited.receipt.details["denoiser_calls"] == 1
    painted = await model.render(request(image=picture(3), mask=half_mask()))
    assert painted.receipt.details["pipeline"] == "StableDiffusionInpaintPipeline"


async def test_a_deadline_out_of_reach_is_refused_before_any_work(make_model: MakeModel) -> None:
    model = await make_model()
    with pytest.raises(errors.DeadlineExceeded) as refused:
        await model.render(request(steps=100, deadline_unix_s=time.time() + 0.02))
    assert refused.value.predicted_ms is not None
    assert refused.value.predicted_ms > 20


async def test_cancelling_ends_the_work_and_frees_the_request(make_model: MakeModel) -> None:
    model = await make_model()
    waiting = asyncio.create_task(model.render(request(steps=100)))
    await until(lambda: model.load_report().running == 1)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await until(lambda: model.load_report().running == 0)
    assert (await model.render(request())).receipt.details["steps_by_batch_size"] == {"1": 3}


async def test_previews_grow_towards_the_image(make_model: MakeModel) -> None:
    model = await make_model()
    partials: list[PartialImage] = []
    result = await model.render(
        request(steps=12, partial_images=3, encoding=Encoding()), on_partial=partials.append
    )
    assert [one.index for one in partials] == [0, 1, 2]
    final = images.decode(result.image.data).astype(int)
    distances = [float(np.abs(images.decode(one.image.data) - final).mean()) for one in partials]
    assert distances[2] < distances[0]


@pytest.mark.parametrize("layout", ["sdxl", "sd3", "flux"])
async def test_previews_of_other_layouts(make_model: MakeModel, layout: str) -> None:
    model = await make_model(layout)
    partials: list[PartialImage] = []
    result = await model.render(request(steps=12, partial_images=1), on_partial=partials.append)
    preview = images.decode(partials[0].image.data).astype(int)
    assert preview.shape == result.image.shape
    assert np.abs(preview - result.image).mean() < 60


async def test_spans_lie_under_the_caller_with_the_times_they_had(
    make_model: MakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("test")
    monkeypatch.setattr(telemetry, "tracer", tracer)
    model = await make_model()
    before_ns = time.time_ns()
    with tracer.start_as_current_span("caller") as caller:
        await model.render(request(encoding=Encoding()))
    spans = {span.name: span for span in exporter.get_finished_spans()}
    order = [
        telemetry.SPAN_TEXT_ENCODE,
        telemetry.SPAN_DENOISE,
        telemetry.SPAN_DECODE,
        telemetry.SPAN_ENCODE_IMAGE,
    ]
    assert set(order) <= set(spans)
    latest_ns = before_ns - 1_000_000
    for name in order:
        assert spans[name].parent.span_id == caller.get_span_context().span_id
        assert spans[name].start_time >= latest_ns
        latest_ns = spans[name].end_time
    assert spans[telemetry.SPAN_DENOISE].attributes[telemetry.ATTR_STEPS] == 3
    assert [event.name for event in spans[telemetry.SPAN_DENOISE].events] == ["step"] * 3


async def test_the_load_report_predicts_a_render(make_model: MakeModel) -> None:
    model = await make_model()
    for seed in range(3):
        await model.render(request(seed))
    report = model.load_report()
    assert report.observed == 3
    predicted_ms = report.overhead_ms + 10 * (
        report.step_ms + report.step_ms_per_megapixel * SIZE * SIZE / 1e6
    )
    measured_ms = (await model.render(request(steps=10))).receipt.run_ms
    assert predicted_ms / 4 < measured_ms < predicted_ms * 4


async def test_an_opaque_pipeline_renders_the_same_and_can_be_cancelled(
    make_model: MakeModel, pipelines: Callable[[str], PipelineSet]
) -> None:
    model = await make_model(execution="opaque")
    results = await asyncio.gather(*(model.render(request(seed)) for seed in range(3)))
    for seed, result in enumerate(results):
        assert np.array_equal(result.image, diffusers_own(pipelines("sd"), task(seed=seed)))
    waiting = asyncio.create_task(model.render(request(steps=100)))
    await until(lambda: model.load_report().running == 1)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert (await model.render(request())).receipt.details["steps_by_batch_size"] == {"1": 3}


async def test_health_fails_when_the_step_loop_has_died(make_model: MakeModel) -> None:
    model = await make_model()
    model.check_health()

    def lost(*args: Any, **kwargs: Any) -> Any:
        raise SystemExit("the device is lost")

    model._loaded.pipelines.base.unet.forward = lost
    with pytest.raises(errors.ModelFailed):
        await model.render(request())
    with pytest.raises(errors.ModelFailed):
        model.check_health()


async def test_a_missing_folder_is_named(make_spec: MakeSpec, tmp_path: Path) -> None:
    spec = make_spec().model_copy(update={"weights": str(tmp_path / "nowhere")})
    with pytest.raises(ValueError, match=r"nowhere.*model_index\.json"):
        await DiffusionModel("tiny", spec).load()


async def test_a_gpu_that_is_not_there_is_said_so(make_spec: MakeSpec) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(ValueError, match="num_gpus to 0"):
        await DiffusionModel("tiny", make_spec(num_gpus=0.5)).load()


async def test_a_receipt_is_verified_by_rendering_again(make_model: MakeModel) -> None:
    model = await make_model()
    asked = request(seed=4, deterministic=True)
    receipt = (await model.render(asked)).receipt
    verdict = await verify(model, asked, receipt)
    assert (verdict.same, verdict.promised) == (True, True)
    other = await verify(model, replace(asked, seed=5), receipt)
    assert (other.same, other.promised) == (False, True)
    elsewhere = replace(receipt, details={**receipt.details, "device": "NVIDIA H100"})
    assert (await verify(model, asked, elsewhere)).doubts == (
        f"other device: NVIDIA H100 then, {receipt.details['device']} now",
    )


async def test_what_shared_its_steps_is_not_promised(make_model: MakeModel) -> None:
    model = await make_model()
    results = await asyncio.gather(*(model.render(request(seed, steps=6)) for seed in range(3)))
    shared = next(one.receipt for one in results if set(one.receipt.details["steps_by_batch_size"]) != {"1"})
    verdict = await verify(model, request(shared.seed or 0, steps=6), shared)
    assert verdict.doubts == ("then it shared its steps with other requests and was not deterministic",)

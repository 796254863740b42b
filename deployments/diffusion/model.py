"""A diffusers model behind the Model interface: requests in, images with receipts out.

Joins the parts: pipelines are loaded, the engine schedules their steps, spans and receipts tell what
happened. Knows nothing of Ray or HTTP.
"""

import asyncio
import logging
import time
from dataclasses import dataclass, replace
from pathlib import Path

from deployments import errors, images
from deployments.diffusion import receipts
from deployments.diffusion.coverage import Vocabulary, read_vocabulary
from deployments.diffusion.denoisers import AnyDenoiser, choose_denoiser
from deployments.diffusion.device import Share, take_share
from deployments.diffusion.performance import Performance
from deployments.diffusion.pipelines import PipelineSet, load_pipelines
from deployments.diffusion.profiling import measure
from deployments.diffusion.spec import DiffusionSpec
from deployments.diffusion.stepwise import StepwiseDenoiser
from deployments.diffusion.tasks import Task, shape_of, task_of
from deployments.engine.costs import CostModel
from deployments.engine.desk import Desk
from deployments.engine.engine import StepEngine
from deployments.engine.jobs import Ask, Finished, Previews
from deployments.engine.observer import StepObserver
from deployments.engine.profile import Profile, differences, profile_of, read_profile, warm
from deployments.engine.work import Rules, Shape
from deployments.model import PartialSink
from deployments.types import (
    EncodedImage,
    Encoding,
    ModelLoad,
    PartialImage,
    Pixels,
    Priority,
    RenderRequest,
    RenderResult,
)

logger = logging.getLogger("atelier.diffusion")


@dataclass(frozen=True, slots=True)
class _Loaded:
    """All that exists once the weights are there."""

    share: Share
    pipelines: PipelineSet
    denoiser: AnyDenoiser
    costs: CostModel
    engine: StepEngine[Task, Performance, Pixels]


class DiffusionModel:
    def __init__(self, name: str, spec: DiffusionSpec, observer: StepObserver | None = None) -> None:
        self._name = name
        self._spec = spec
        self._observer = observer
        self._parts: _Loaded | None = None
        self._vocabulary: Vocabulary | None = None
        self._finished = 0

    @property
    def revision(self) -> str:
        return self._loaded.pipelines.revision

    async def load(self) -> None:
        """Raises ValueError with what to do if the weights are missing or do not fit the device."""
        self._vocabulary = await asyncio.to_thread(read_vocabulary, self._spec.weights)
        self._parts = await asyncio.to_thread(self._load)
        self._parts.engine.start()

    async def render(self, request: RenderRequest, on_partial: PartialSink | None = None) -> RenderResult:
        loaded = self._loaded
        task = task_of(request, self._spec, loaded.pipelines.size_multiple)
        loaded.pipelines.for_kind(task.kind)
        finished = await self._run(request, task, on_partial)
        self._finished += 1
        receipts.record_spans(finished, task)
        pixels = finished.output
        receipt = await asyncio.to_thread(
            receipts.receipt_of, self._name, self._spec, loaded.pipelines, task, finished
        )
        if self._vocabulary is not None:
            coverage = self._vocabulary.coverage(request.prompt)
            receipt = replace(receipt, details={**receipt.details, "prompt_coverage": coverage.as_json()})
        image: Pixels | EncodedImage = pixels
        if request.encoding is not None:
            with receipts.encoding_span():
                image = await asyncio.to_thread(images.encode, pixels, request.encoding)
        return RenderResult(image, receipt)

    def load_report(self) -> ModelLoad:
        loaded = self._loaded
        load = loaded.engine.load()
        shape = Shape(self._spec.default_width, self._spec.default_height, _is_guided(self._spec))
        fixed_s, per_megapixel_s = loaded.costs.step_by_megapixel(
            loaded.engine.batch_for_newcomer(shape), shape.guided
        )
        return ModelLoad(
            wait_ms=load.wait_s * 1000,
            overhead_ms=(loaded.costs.prepare_s(shape) + loaded.costs.decode_s(shape)) * 1000,
            step_ms=fixed_s * 1000,
            step_ms_per_megapixel=per_megapixel_s * 1000,
            running=load.running,
            queued=load.queued,
            observed=self._finished,
            memory_bytes=loaded.share.used_bytes(),
            memory_limit_bytes=loaded.share.limit_bytes,
            work_ms=load.work_s * 1000,
            request_work_ms=load.request_work_s * 1000,
        )

    def check_health(self) -> None:
        self._loaded.engine.check_health()

    async def close(self) -> None:
        if self._parts is not None:
            await asyncio.to_thread(self._parts.engine.close)

    def profile(self) -> Profile:
        """What has been learned of this model's step times so far."""
        loaded = self._loaded
        return profile_of(loaded.costs, self._name, self.revision, loaded.share.name, self._spec.dtype)

    @property
    def _loaded(self) -> _Loaded:
        if self._parts is None:
            raise errors.ModelFailed(f"model {self._name} is not loaded")
        return self._parts

    def _load(self) -> _Loaded:
        spec = self._spec
        share = take_share(spec.num_gpus, spec.memory_bytes)
        pipelines = load_pipelines(spec, share)
        denoiser = choose_denoiser(pipelines, spec)
        shares_calls = isinstance(denoiser, StepwiseDenoiser)
        logger.info("model %s runs %s", self._name, "stepwise" if shares_calls else "opaque")
        costs = CostModel(spec.max_batch if shares_calls else 1)
        if spec.profile is not None:
            self._warm(costs, Path(spec.profile).expanduser(), pipelines.revision, share)
        measure(denoiser, costs, spec, sizes=[(spec.default_width, spec.default_height)], batches=[1])
        rules = Rules(
            patience_s=spec.patience_s,
            background_patience_s=spec.background_patience_s,
            steady_width=spec.steady_width,
        )
        engine = StepEngine[Task, Performance, Pixels](
            denoiser, Desk(costs, rules), time.monotonic, self._observer, spec.hung_step_s
        )
        return _Loaded(share, pipelines, denoiser, costs, engine)

    def _warm(self, costs: CostModel, file: Path, revision: str, share: Share) -> None:
        """A profile of other weights or another device is passed over: the first requests teach better."""
        profile = read_profile(file)
        other = differences(profile, revision, share.name, self._spec.dtype)
        if other:
            logger.warning(
                "model %s: profile %s is not used, it was measured with %s: measure again with "
                "`atelier profile %s`",
                self._name,
                file.name,
                "; ".join(other),
                self._name,
            )
            return
        warm(costs, profile)

    async def _run(
        self, request: RenderRequest, task: Task, on_partial: PartialSink | None
    ) -> Finished[Pixels]:
        remaining_s = request.remaining_s()
        ask = Ask(
            task,
            shape_of(task),
            task.expected_steps,
            deadline_s=None if remaining_s is None else time.monotonic() + remaining_s,
            steady=request.deterministic,
            background=request.priority is Priority.BATCH,
            previews=_previews(request, on_partial),
        )
        engine = self._loaded.engine
        number, future = engine.submit(ask)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            engine.cancel(number)
            raise


def _previews(request: RenderRequest, on_partial: PartialSink | None) -> Previews[Pixels] | None:
    """Pictures are encoded on the decoding thread and handed over on the event loop, in order."""
    if on_partial is None or request.partial_images == 0:
        return None
    loop = asyncio.get_running_loop()
    encoding = request.encoding or Encoding()

    def show(index: int, pixels: Pixels) -> None:
        loop.call_soon_threadsafe(on_partial, PartialImage(index, images.encode(pixels, encoding)))

    return Previews(request.partial_images, show)


def _is_guided(spec: DiffusionSpec) -> bool:
    return spec.default_guidance_scale > 1

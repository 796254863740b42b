"""A diffusers model behind the Model interface: requests in, images with receipts out.

Joins the parts: pipelines are loaded, the engine schedules their steps, spans and receipts tell what
happened. Knows nothing of Ray or HTTP.
"""

import asyncio
import logging
import time
from concurrent.futures import Future
from itertools import pairwise

import torch

from deployments import errors, images
from deployments.diffusion import receipts
from deployments.diffusion.pipelines import PipelineSet, load_pipelines
from deployments.diffusion.spec import DiffusionSpec
from deployments.diffusion.stepwise import Performance, StepwiseDenoiser
from deployments.diffusion.tasks import Kind, Task, task_of
from deployments.engine.costs import CostModel
from deployments.engine.desk import Desk
from deployments.engine.engine import Finished, StepEngine
from deployments.engine.work import Rules, Shape
from deployments.model import PartialSink
from deployments.types import EncodedImage, ModelLoad, Pixels, RenderRequest, RenderResult

logger = logging.getLogger("atelier.diffusion")

WARM_UP_STEPS = 2


class DiffusionModel:
    def __init__(self, name: str, spec: DiffusionSpec) -> None:
        self._name = name
        self._spec = spec
        self._device = "cuda" if spec.num_gpus > 0 and torch.cuda.is_available() else "cpu"
        self._pipelines: PipelineSet | None = None
        self._engine: StepEngine[Task, Performance, Pixels] | None = None
        self._costs = CostModel(spec.max_batch)
        self._observed = 0

    @property
    def revision(self) -> str:
        return self._loaded.revision

    async def load(self) -> None:
        await asyncio.to_thread(self._load)

    async def render(self, request: RenderRequest, on_partial: PartialSink | None = None) -> RenderResult:
        task = task_of(request, self._spec, self._loaded.size_multiple)
        self._loaded.for_kind(task.kind)
        finished = await self._run(request, task)
        self._observed += 1
        receipts.record_spans(finished, task)
        pixels = finished.output
        receipt = await asyncio.to_thread(
            receipts.receipt_of, self._name, self._spec, self._loaded, task, finished
        )
        image: Pixels | EncodedImage = pixels
        if request.encoding is not None:
            with receipts.encoding_span():
                image = await asyncio.to_thread(images.encode, pixels, request.encoding)
        return RenderResult(image, receipt)

    def load_report(self) -> ModelLoad:
        load = self._running.load()
        default = Shape(self._spec.default_width, self._spec.default_height)
        step_ms = self._costs.step_s(default, 1) * 1000
        overhead_s = self._costs.prepare_s(default) + self._costs.decode_s(default)
        return ModelLoad(
            wait_ms=load.wait_s * 1000,
            overhead_ms=overhead_s * 1000,
            step_ms=step_ms,
            running=load.running,
            queued=load.queued,
            observed=self._observed,
        )

    def check_health(self) -> None:
        self._running.check_health()

    async def close(self) -> None:
        if self._engine is not None:
            await asyncio.to_thread(self._engine.close)

    @property
    def _loaded(self) -> PipelineSet:
        if self._pipelines is None:
            raise errors.ModelFailed(f"model {self._name} is not loaded")
        return self._pipelines

    @property
    def _running(self) -> StepEngine[Task, Performance, Pixels]:
        if self._engine is None:
            raise errors.ModelFailed(f"model {self._name} is not loaded")
        return self._engine

    def _load(self) -> None:
        self._pipelines = load_pipelines(self._spec, self._device)
        denoiser = StepwiseDenoiser(self._pipelines)
        self._warm_up(denoiser)
        rules = Rules(patience_s=self._spec.patience_s, steady_width=self._spec.steady_width)
        self._engine = StepEngine(denoiser, Desk(self._costs, rules), time.monotonic)
        self._engine.start()

    def _warm_up(self, denoiser: StepwiseDenoiser) -> None:
        """Renders twice: the first pass pays for lazy initialisation, the second tells what things cost."""
        task = Task(
            kind=Kind.TEXT_TO_IMAGE,
            prompt="warm up",
            negative_prompt="",
            width=self._spec.default_width,
            height=self._spec.default_height,
            steps=WARM_UP_STEPS,
            guidance_scale=self._spec.default_guidance_scale,
            seed=0,
        )
        costs = self._costs.of(_shape(task))
        for counts in (False, True):
            instants = [time.monotonic()]
            state = denoiser.prepare(task)
            instants.append(time.monotonic())
            try:
                while denoiser.steps_left(state):
                    for failure in denoiser.step([state], None):
                        if failure is not None:
                            raise failure
                    instants.append(time.monotonic())
                denoiser.decode(state, frugal=False)
            finally:
                denoiser.discard(state)
            if counts:
                costs.prepare.observe(instants[1] - instants[0])
                costs.decode.observe(time.monotonic() - instants[-1])
                for before, after in pairwise(instants[1:]):
                    costs.step.observe(1, after - before)

    async def _run(self, request: RenderRequest, task: Task) -> Finished[Pixels]:
        remaining_s = request.remaining_s()
        deadline_s = None if remaining_s is None else time.monotonic() + remaining_s
        number, future = self._running.submit(
            task, _shape(task), task.expected_steps, deadline_s, steady=request.deterministic
        )
        try:
            return await _awaited(future)
        except asyncio.CancelledError:
            self._running.cancel(number)
            raise


async def _awaited(future: "Future[Finished[Pixels]]") -> Finished[Pixels]:
    return await asyncio.wrap_future(future)


def _shape(task: Task) -> Shape:
    return Shape(task.width, task.height, task.guided, task.lora or "")

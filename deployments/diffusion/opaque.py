"""Drives pipelines that nothing is known about: one request a call, stopped between steps.

Uses diffusers' `callback_on_step_end` and nothing else, so requests take turns at step boundaries and
can be cancelled there, but never share a call. A pipeline without that callback is one single step.
"""

import copy
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch

from deployments.diffusion.loras import Loras
from deployments.diffusion.pausable import Pausable, Pause
from deployments.diffusion.performance import Performance, StepEnd
from deployments.diffusion.pipelines import PipelineSet
from deployments.diffusion.tasks import Task
from deployments.types import Pixels


class OpaqueDenoiser:
    """The text is encoded with the first step, and the image decoded after the last."""

    def __init__(self, pipelines: PipelineSet, loras: Loras) -> None:
        self._pipelines = pipelines
        self._loras = loras

    def prepare(self, task: Task) -> Performance:
        pipeline = self._pipelines.for_kind(task.kind)
        arguments = self._pipelines.arguments(task)

        def perform(pause: Pause) -> Any:
            one = performance.pipeline = copy.copy(pipeline)
            if getattr(pipeline, "scheduler", None) is not None:
                vars(one)["scheduler"] = copy.deepcopy(pipeline.scheduler)
            if _has_callback(pipeline):
                arguments["callback_on_step_end"] = _pausing(pause)
            pause(StepEnd())
            return one(**arguments).images[0]

        performance = Performance(task, Pausable(perform, name="pipeline"))
        performance.script.start()
        performance.arrive()
        return performance

    def steps_left(self, state: Performance) -> int:
        if state.image is not None:
            return 0
        planned = state.planned_steps() if _has_callback(state.pipeline) else 1
        return max(0, planned - state.steps_done)

    def step(self, states: Sequence[Performance], width: int | None) -> list[BaseException | None]:
        return [self._step_alone(state) for state in states]

    def preview(self, state: Performance) -> Callable[[], Pixels] | None:
        return None

    def decode(self, state: Performance, frugal: bool) -> Pixels:
        if frugal:
            raise MemoryError(f"{type(state.pipeline).__name__} runs as one: its image cannot be tried again")
        while state.image is None:
            state.script.resume()
            state.arrive()
        return state.pixels()

    def discard(self, state: Performance) -> None:
        state.discard()

    def free_memory(self) -> None:
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _step_alone(self, state: Performance) -> BaseException | None:
        self._loras.use_in_text(state.task.lora)
        self._loras.use_in_denoiser(state.task.lora)
        try:
            state.script.resume()
            state.arrive()
        except Exception as error:
            return error
        state.steps_done += 1
        return None


def _has_callback(pipeline: Any) -> bool:
    return "callback_on_step_end" in inspect.signature(type(pipeline).__call__).parameters


def _pausing(pause: Pause) -> Callable[..., dict[str, Any]]:
    def on_step_end(pipeline: Any, step: int, timestep: Any, values: dict[str, Any]) -> dict[str, Any]:
        pause(StepEnd())
        return values

    return on_step_end

"""Drives diffusers pipelines step by step: many requests, one denoiser call.

Implements the engine's Denoiser over pipelines cut at their denoiser. Alone, a request makes the very
calls that diffusers makes; together, their rows are joined for the denoiser alone.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from deployments.diffusion import collate
from deployments.diffusion.collate import Call
from deployments.diffusion.cut import SideWork, cut, denoiser_name
from deployments.diffusion.pausable import Pausable, Paused, Raised, Returned
from deployments.diffusion.pipelines import PipelineSet
from deployments.diffusion.tasks import Task
from deployments.types import Pixels


@dataclass(slots=True)
class Performance:
    """One request's pipeline, stopped somewhere. `call` is what it wants of the denoiser next."""

    task: Task
    script: Pausable[Any]
    call: Call | None = None
    aside: SideWork | None = None
    image: Any = None
    calls_done: int = 0
    scheduler_steps: int = 0
    pipeline: Any = None
    discarded: bool = field(default=False)


class StepwiseDenoiser:
    """All pipelines of one set of weights."""

    def __init__(self, pipelines: PipelineSet) -> None:
        self._pipelines = pipelines
        name = denoiser_name(pipelines.base)
        if name is None:
            raise ValueError(f"{type(pipelines.base).__name__} has no denoiser that can be shared")
        self._module: torch.nn.Module = getattr(pipelines.base, name)

    def prepare(self, task: Task) -> Performance:
        pipeline = self._pipelines.for_kind(task.kind)

        def perform(pause: Any) -> Any:
            one = cut(pipeline, pause)
            performance.pipeline = one
            one.scheduler.step = _counted(one.scheduler.step, performance)
            return one(**self._pipelines.arguments(task)).images[0]

        performance = Performance(task, Pausable(perform, name="pipeline"))
        performance.script.start()
        try:
            while self._arrive(performance) is not None:
                self._do_aside(performance)
        except BaseException:
            self.discard(performance)
            raise
        return performance

    def steps_left(self, state: Performance) -> int:
        if state.call is None:
            return 0
        calls_per_step = max(1, round(state.calls_done / max(1, state.scheduler_steps)))
        planned = getattr(state.pipeline, "num_timesteps", None) or state.task.expected_steps
        return max(1, int(planned) * calls_per_step - state.calls_done)

    def step(self, states: Sequence[Performance], width: int | None) -> list[BaseException | None]:
        with torch.no_grad():
            outputs = self._denoise([_call(state) for state in states], width)
        for state, output in zip(states, outputs, strict=True):
            state.call = None
            state.calls_done += 1
            state.script.resume(output)
        failures: list[BaseException | None] = []
        for state in states:
            try:
                self._arrive(state)
                failures.append(None)
            except Exception as error:
                failures.append(error)
        return failures

    def decode(self, state: Performance, frugal: bool) -> Pixels:
        vae = self._pipelines.base.vae
        if frugal:
            vae.enable_tiling()
        try:
            while state.aside is not None:
                self._do_aside(state)
                self._arrive(state)
        finally:
            if frugal:
                vae.disable_tiling()
        if state.image is None:
            raise RuntimeError(f"{type(state.pipeline).__name__} denoises again after decoding")
        return np.ascontiguousarray(state.image.convert("RGB"))

    def discard(self, state: Performance) -> None:
        state.script.abandon()
        state.call = state.aside = state.pipeline = None

    def free_memory(self) -> None:
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _denoise(self, calls: Sequence[Call], width: int | None) -> list[Any]:
        """The denoiser's output for each call. Calls that cannot be joined are made one after another."""
        groups: dict[Any, list[int]] = {}
        for index, call in enumerate(calls):
            groups.setdefault(call.signature(), []).append(index)
        outputs: list[Any] = [None] * len(calls)
        for members in groups.values():
            joined = self._joined([calls[index] for index in members], width)
            for index, output in zip(members, joined, strict=True):
                outputs[index] = output
        return outputs

    def _joined(self, calls: list[Call], width: int | None) -> list[Any]:
        if len(calls) == 1 and width in (None, 1):
            return [self._module(**calls[0].arguments)]
        padded = calls + [calls[-1]] * ((width or 0) - len(calls))
        output = self._module(**collate.merge(padded))
        return collate.split(output, [call.rows for call in padded])[: len(calls)]

    def _arrive(self, state: Performance) -> SideWork | None:
        """Waits until the pipeline stops again. What it wants aside; None at a denoiser call or the end."""
        match state.script.wait():
            case Paused(wanted=Call() as call):
                state.call = call
            case Paused(wanted=SideWork() as aside):
                state.aside = aside
            case Returned(value=image):
                state.image = image
            case Raised(error=error):
                raise error
        return state.aside

    def _do_aside(self, state: Performance) -> None:
        """If the work fails it stays wanted, so that it can be tried again."""
        assert state.aside is not None
        result = state.aside.run()
        state.aside = None
        state.script.resume(result)


def _call(state: Performance) -> Call:
    assert state.call is not None, "a state without steps left was stepped"
    return state.call


def _counted(step: Any, performance: Performance) -> Any:
    """Pipelines look at the signature of `step`, which wraps keeps."""

    @functools.wraps(step)
    def counted(*args: Any, **kwargs: Any) -> Any:
        performance.scheduler_steps += 1
        return step(*args, **kwargs)

    return counted

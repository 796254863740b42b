"""Drives diffusers pipelines step by step: many requests, one denoiser call.

Implements the engine's Denoiser over pipelines cut at their denoiser. Alone, a request makes the very
calls that diffusers makes; together, their rows are joined for the denoiser alone.
"""

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import torch

from deployments.diffusion import collate
from deployments.diffusion.collate import Call
from deployments.diffusion.cut import cut, denoiser_name, save_memory
from deployments.diffusion.loras import Loras
from deployments.diffusion.pausable import Pausable, Pause
from deployments.diffusion.performance import Performance
from deployments.diffusion.pipelines import PipelineSet
from deployments.diffusion.previews import Watch, decoder
from deployments.diffusion.tasks import Task
from deployments.types import Pixels


class StepwiseDenoiser:
    """All pipelines of one set of weights."""

    def __init__(self, pipelines: PipelineSet, loras: Loras) -> None:
        self._pipelines = pipelines
        self._loras = loras
        name = denoiser_name(pipelines.base)
        if name is None:
            raise ValueError(
                f"{type(pipelines.base).__name__} has no denoiser whose calls can be shared: "
                'set execution to "opaque"'
            )
        self._module: torch.nn.Module = getattr(pipelines.base, name)
        self._merger = collate.Merger()

    def prepare(self, task: Task) -> Performance:
        self._loras.use_in_text(task.lora)
        pipeline = self._pipelines.for_kind(task.kind)

        def perform(pause: Pause) -> Any:
            one = performance.pipeline = cut(pipeline, pause)
            performance.watch = Watch(one.scheduler, forecasts=task.previews > 0)
            return one(**self._pipelines.arguments(task)).images[0]

        performance = Performance(task, Pausable(perform, name="pipeline"))
        performance.script.start()
        try:
            performance.arrive()
            performance.do_aside()
        except BaseException:
            performance.discard()
            raise
        return performance

    def steps_left(self, state: Performance) -> int:
        """Some pipelines call the denoiser several times a step: the plan is stretched as far."""
        if state.call is None:
            return 0
        return max(1, state.planned_steps() * _calls_per_step(state) - state.steps_done)

    def step(self, states: Sequence[Performance], width: int | None) -> list[BaseException | None]:
        self._loras.use_in_denoiser(states[0].task.lora)
        with torch.no_grad():
            outputs = self._denoise([_call(state) for state in states], width)
        for state, output in zip(states, outputs, strict=True):
            state.call = None
            state.steps_done += 1
            state.script.resume(output)
        failures = [_arrival_failure(state) for state in states]
        self._join_ahead(states, width)
        if torch.cuda.is_available():
            # What the pipelines did with the output is queued by now: waiting here hides their overhead
            # behind the device, and makes the time of a step true.
            torch.cuda.current_stream().synchronize()
        return failures

    def preview(self, state: Performance) -> Callable[[], Pixels] | None:
        if state.watch is None or state.watch.latents is None:
            return None
        task = state.task
        return decoder(self._pipelines.base, state.watch.latents, task.width, task.height)

    def decode(self, state: Performance, frugal: bool) -> Pixels:
        if frugal:
            save_memory(state.pipeline)
        state.do_aside()
        if state.call is not None:
            raise RuntimeError(
                f'{type(state.pipeline).__name__} denoises again after decoding: set execution to "opaque"'
            )
        return state.pixels()

    def discard(self, state: Performance) -> None:
        state.discard()

    def free_memory(self) -> None:
        self._merger.forget()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _denoise(self, calls: Sequence[Call], width: int | None) -> list[Any]:
        """The denoiser's output for each call. Calls that cannot be joined are made one after another."""
        groups: dict[Hashable, list[int]] = {}
        for index, call in enumerate(calls):
            groups.setdefault(call.signature, []).append(index)
        outputs: list[Any] = [None] * len(calls)
        for members in groups.values():
            joined = self._joined([calls[index] for index in members], width)
            for index, output in zip(members, joined, strict=True):
                outputs[index] = output
        return outputs

    def _join_ahead(self, states: Sequence[Performance], width: int | None) -> None:
        """Mostly the same requests take the next step together: joined now, while the device is still at
        this one, the merger has it ready."""
        calls = [state.call for state in states if state.call is not None]
        if len(calls) < len(states) or len({call.signature for call in calls}) > 1:
            return
        padded = _padded(calls, width)
        if len(padded) == 1:
            return
        try:
            self._merger.merge(padded)
        except Exception:
            # This step is done. If memory is short, the next one says so, before anybody has moved.
            self._merger.forget()

    def _joined(self, calls: list[Call], width: int | None) -> list[Any]:
        padded = _padded(calls, width)
        if len(padded) == 1:
            return [self._module(**calls[0].arguments)]
        output = self._module(**self._merger.merge(padded))
        return collate.split(output, [call.rows for call in padded])[: len(calls)]


def _padded(calls: list[Call], width: int | None) -> list[Call]:
    return calls + [calls[-1]] * ((width or 0) - len(calls))


def _call(state: Performance) -> Call:
    assert state.call is not None, "a state without steps left was stepped"
    return state.call


def _arrival_failure(state: Performance) -> BaseException | None:
    try:
        state.arrive()
    except Exception as error:
        return error
    return None


def _calls_per_step(state: Performance) -> int:
    """Denoiser calls for each call of the scheduler, as far as seen; 1 before the first step ended."""
    if state.watch is None or state.watch.steps == 0:
        return 1
    return max(1, round(state.steps_done / state.watch.steps))

"""What is told about a finished render: spans with the times they really had, and the receipt."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from typing import Any

from deployments import images, telemetry
from deployments.diffusion.pipelines import PipelineSet
from deployments.diffusion.spec import DiffusionSpec
from deployments.diffusion.tasks import Task
from deployments.engine.desk import Entry
from deployments.engine.jobs import Finished
from deployments.types import Pixels, StageReceipt
from deployments.verify import inputs_sha256

MAX_STEP_EVENTS = 64
"""More steps than that are told as a number only: a trace is no place for thousands of events."""


def receipt_of(
    name: str, spec: DiffusionSpec, pipelines: PipelineSet, task: Task, finished: Finished[Pixels]
) -> StageReceipt:
    entry = finished.entry
    started_s = entry.arrived_s if entry.prepare_started_s is None else entry.prepare_started_s
    gpu_s = entry.busy_s * spec.num_gpus
    return StageReceipt(
        model=name,
        revision=pipelines.revision,
        width=task.width,
        height=task.height,
        queue_ms=(started_s - entry.arrived_s) * 1000,
        run_ms=(finished.decoded_s - started_s) * 1000,
        seed=task.seed,
        steps=task.steps,
        gpu_s=gpu_s,
        cost_usd=spec.pricing.usd_per_image + gpu_s * spec.pricing.usd_per_gpu_hour / 3600,
        pixels_sha256=images.sha256(finished.output),
        details=_details(spec, pipelines, task, entry),
    )


def record_spans(finished: Finished[Pixels], task: Task) -> None:
    """Spans under the current context. They are made afterwards, because batches interleave requests."""
    entry = finished.entry
    offset_ns = time.time_ns() - int(time.monotonic() * 1e9)
    _span(telemetry.SPAN_TEXT_ENCODE, entry.prepare_started_s, entry.prepared_s, offset_ns, {})
    attributes = {
        telemetry.ATTR_STEPS: entry.steps_done,
        telemetry.ATTR_SEED: task.seed,
        telemetry.ATTR_BATCH_SIZE: max(entry.widths, default=0),
    }
    last_step_s = entry.step_ends_s[-1] if entry.step_ends_s else None
    steps = entry.step_ends_s if len(entry.step_ends_s) <= MAX_STEP_EVENTS else ()
    _span(telemetry.SPAN_DENOISE, entry.first_step_s, last_step_s, offset_ns, attributes, steps)
    _span(telemetry.SPAN_DECODE, entry.decode_started_s, finished.decoded_s, offset_ns, {})


@contextmanager
def encoding_span() -> Iterator[None]:
    with telemetry.open_span(telemetry.tracer, telemetry.SPAN_ENCODE_IMAGE):
        yield


def _span(
    name: str,
    start_s: float | None,
    end_s: float | None,
    offset_ns: int,
    attributes: dict[str, Any],
    events_s: Sequence[float] = (),
) -> None:
    if start_s is None or end_s is None:
        return
    start_ns, end_ns = (int(instant_s * 1e9) + offset_ns for instant_s in (start_s, end_s))
    span = telemetry.tracer.start_span(name, start_time=start_ns, attributes=attributes)
    for index, instant_s in enumerate(events_s):
        span.add_event("step", {"atelier.step": index}, int(instant_s * 1e9) + offset_ns)
    span.end(end_ns)


def _details(spec: DiffusionSpec, pipelines: PipelineSet, task: Task, entry: Entry) -> dict[str, Any]:
    return {
        "pipeline": type(pipelines.for_kind(task.kind)).__name__,
        "scheduler": type(pipelines.base.scheduler).__name__,
        "dtype": spec.dtype,
        "device": pipelines.device_name,
        "guidance_scale": task.guidance_scale,
        "strength": None if task.image is None else task.strength,
        "lora": task.lora,
        "inputs_sha256": inputs_sha256(task.prompt, task.negative_prompt, task.image, task.mask),
        "denoiser_calls": entry.steps_done,
        "steps_by_batch_size": {str(width): steps for width, steps in sorted(entry.widths.items())},
        "deterministic": entry.steady and set(entry.widths) == {spec.steady_width},
        "predicted_ms": round(entry.predicted_s * 1000, 3),
        "libraries": dict(_library_versions()),
    }


@cache
def _library_versions() -> tuple[tuple[str, str], ...]:
    return tuple((name, version(name)) for name in ("torch", "diffusers", "transformers"))

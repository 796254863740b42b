"""What crosses the boundary between a caller and a model replica.

Frozen, slotted and picklable. Knows nothing of Ray, HTTP or policies.

Time: a deadline crosses processes as a wall-clock instant (`deadline_unix_s`), because a monotonic
clock has no meaning in another process. Nodes are expected to keep their clocks in step (NTP), as
distributed traces expect it too.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
"""One image: shape (height, width, 3 or 4), RGB or RGBA with straight alpha, values 0..255, C-contiguous."""

Mask = npt.NDArray[np.uint8]
"""Shape (height, width), 255 where the image may change, 0 where it stays."""


class ImageFormat(StrEnum):
    PNG = "png"
    JPEG = "jpeg"
    WEBP = "webp"
    SVG = "svg"

    @property
    def media_type(self) -> str:
        return "image/svg+xml" if self is ImageFormat.SVG else f"image/{self.value}"


class Priority(StrEnum):
    INTERACTIVE = "interactive"
    BATCH = "batch"


@dataclass(frozen=True, slots=True)
class Encoding:
    """How the last stage writes the image.

    `quality` is 0..100 and applies to JPEG and WebP only. `transparent` keeps an alpha channel where the
    format has one; otherwise alpha is flattened onto white.
    """

    format: ImageFormat = ImageFormat.PNG
    quality: int = 90
    transparent: bool = False


@dataclass(frozen=True, slots=True)
class RenderRequest:
    """One image to make. A request for n images is n of these.

    `image` is the input of stages that transform (upscale, typeset, image-to-image, inpaint); `mask`
    goes with it for inpainting. `strength` (0..1] says how much of `image` may change. With
    `encoding` None the result keeps raw pixels for the next stage. `options` holds JSON values that
    only one kind of model reads (a typesetter's layout, say).
    """

    request_id: str
    prompt: str
    width: int
    height: int
    seed: int
    steps: int | None = None
    guidance_scale: float | None = None
    negative_prompt: str = ""
    image: Pixels | None = None
    mask: Mask | None = None
    strength: float | None = None
    lora: str | None = None
    deterministic: bool = False
    priority: Priority = Priority.INTERACTIVE
    partial_images: int = 0
    encoding: Encoding | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    deadline_unix_s: float | None = None
    sent_unix_s: float = field(default_factory=time.time)
    trace: Mapping[str, str] = field(default_factory=dict)

    def remaining_s(self, now_unix_s: float | None = None) -> float | None:
        """Seconds until the deadline (negative once it has passed), None without one."""
        if self.deadline_unix_s is None:
            return None
        return self.deadline_unix_s - (time.time() if now_unix_s is None else now_unix_s)


@dataclass(frozen=True, slots=True)
class EncodedImage:
    data: bytes
    format: ImageFormat
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class StageReceipt:
    """What one model did for one image.

    `queue_ms` is from sending to the start of work, `run_ms` the work itself. `gpu_s` is the replica's
    GPU fraction times the run time, divided by the images that shared it. `pixels_sha256` is over the
    raw RGB(A) bytes, row by row. `details` holds JSON values a kind of model adds (scheduler, dtype,
    batch shape, library versions).
    """

    model: str
    revision: str
    width: int
    height: int
    queue_ms: float
    run_ms: float
    seed: int | None = None
    steps: int | None = None
    gpu_s: float = 0.0
    cost_usd: float = 0.0
    pixels_sha256: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RenderResult:
    """The image of a stage: pixels for the next stage, or encoded where the request asked for it."""

    image: Pixels | EncodedImage
    receipt: StageReceipt


@dataclass(frozen=True, slots=True)
class PartialImage:
    """A preview of an unfinished image. `index` counts from 0."""

    index: int
    image: EncodedImage


@dataclass(frozen=True, slots=True)
class ModelLoad:
    """What a replica reports of itself, so that a router can predict.

    A request of this model is expected to take
    `wait_ms + overhead_ms + steps * (step_ms + step_ms_per_megapixel * width * height / 1e6)`.
    Without a step loop, `steps` counts as 1. `observed` is how many requests the numbers come from.
    `parallelism` is how many requests run side by side without slowing each other down.

    `work_ms` is the time until everything that waits or runs here is done, if nothing more comes;
    `request_work_ms` what a request adds to that where there is much to do, the mean of those that came
    lately (0: none came). The autoscaler counts by these (autoscaling.py).
    """

    wait_ms: float = 0.0
    overhead_ms: float = 0.0
    step_ms: float = 0.0
    step_ms_per_megapixel: float = 0.0
    running: int = 0
    queued: int = 0
    observed: int = 0
    parallelism: int = 1
    memory_bytes: int = 0
    memory_limit_bytes: int = 0
    work_ms: float = 0.0
    request_work_ms: float = 0.0

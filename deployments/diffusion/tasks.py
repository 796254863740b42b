"""What one request asks of a pipeline: defaults filled in, limits checked. Imports no torch."""

from dataclasses import dataclass
from enum import StrEnum

from deployments import errors
from deployments.diffusion.spec import DiffusionSpec
from deployments.engine.work import Shape
from deployments.types import ImageFormat, Mask, Pixels, RenderRequest


class Kind(StrEnum):
    TEXT_TO_IMAGE = "text_to_image"
    IMAGE_TO_IMAGE = "image_to_image"
    INPAINT = "inpaint"


@dataclass(frozen=True, slots=True)
class Task:
    kind: Kind
    prompt: str
    negative_prompt: str
    width: int
    height: int
    steps: int
    guidance_scale: float
    seed: int
    image: Pixels | None = None
    mask: Mask | None = None
    strength: float = 1.0
    lora: str | None = None
    previews: int = 0

    @property
    def guided(self) -> bool:
        """As diffusers decides it; a guess for pipelines that decide otherwise."""
        return self.guidance_scale > 1

    @property
    def expected_steps(self) -> int:
        """Denoiser calls: an edit skips the first part of the schedule."""
        if self.kind is Kind.TEXT_TO_IMAGE:
            return self.steps
        return min(int(self.steps * self.strength), self.steps)


def task_of(request: RenderRequest, spec: DiffusionSpec, size_multiple: int) -> Task:
    """Raises InvalidRequest or Unsupported, naming the field, before any work is done."""
    if request.mask is not None and request.image is None:
        raise errors.InvalidRequest("a mask needs an image", "mask")
    kind = Kind.TEXT_TO_IMAGE
    if request.image is not None:
        kind = Kind.IMAGE_TO_IMAGE if request.mask is None else Kind.INPAINT
    if request.width % size_multiple or request.height % size_multiple:
        raise errors.Unsupported(
            f"width and height must be multiples of {size_multiple}, not {request.width}x{request.height}",
            "size",
        )
    if request.width * request.height > spec.max_pixels:
        raise errors.Unsupported(f"the image may have at most {spec.max_pixels} pixels", "size")
    if request.encoding is not None and request.encoding.format is ImageFormat.SVG:
        raise errors.Unsupported("this model makes pixels, not svg", "output_format")
    steps = spec.default_steps if request.steps is None else request.steps
    if not 1 <= steps <= spec.max_steps:
        raise errors.InvalidRequest(f"steps must be 1 to {spec.max_steps}, not {steps}", "steps")
    if request.lora is not None and request.lora not in spec.loras:
        known = ", ".join(sorted(spec.loras)) or "none"
        raise errors.InvalidRequest(f'lora "{request.lora}" is unknown here; this model has: {known}', "lora")
    guidance = spec.default_guidance_scale if request.guidance_scale is None else request.guidance_scale
    strength = spec.default_strength if request.strength is None else request.strength
    if not 0 < strength <= 1:
        raise errors.InvalidRequest(f"strength must be over 0 and at most 1, not {strength}", "strength")
    if kind is not Kind.TEXT_TO_IMAGE and int(steps * strength) < 1:
        raise errors.InvalidRequest(
            f"an edit runs steps x strength steps, which must be at least 1, not {steps} x {strength:g}",
            "strength",
        )
    return Task(
        kind=kind,
        prompt=request.prompt,
        negative_prompt=request.negative_prompt,
        width=request.width,
        height=request.height,
        steps=steps,
        guidance_scale=guidance,
        seed=request.seed,
        image=request.image,
        mask=request.mask,
        strength=1.0 if kind is Kind.TEXT_TO_IMAGE else strength,
        lora=request.lora,
        previews=request.partial_images,
    )


def shape_of(task: Task) -> Shape:
    """Edits share calls with text to image: the denoiser sees the same."""
    return Shape(task.width, task.height, task.guided, task.lora or "")

"""Loads a diffusers pipeline and derives its edit variants from the same weights.

Safetensors only, no remote code, no network for local folders. Knows nothing of engines.
"""

import hashlib
import inspect
import logging
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoPipelineForImage2Image,
    AutoPipelineForInpainting,
    DiffusionPipeline,
)
from PIL import Image

from deployments import errors, images
from deployments.diffusion.device import Share, check_fit, weights_bytes
from deployments.diffusion.spec import DiffusionSpec, is_local
from deployments.diffusion.tasks import Kind, Task

logger = logging.getLogger("atelier.diffusion")

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


class PipelineSet:
    """One set of weights and the pipelines that share it."""

    def __init__(self, base: Any, revision: str, device_name: str = "cpu") -> None:
        base.set_progress_bar_config(disable=True)
        self.base = base
        self.revision = revision
        self.device_name = device_name
        self._by_kind: dict[Kind, Any] = {Kind.TEXT_TO_IMAGE: base}
        for kind, auto in (
            (Kind.IMAGE_TO_IMAGE, AutoPipelineForImage2Image),
            (Kind.INPAINT, AutoPipelineForInpainting),
        ):
            try:
                self._by_kind[kind] = auto.from_pipe(base)
            except (ValueError, TypeError):
                logger.info("%s has no %s variant", type(base).__name__, kind)
                continue
            self._by_kind[kind].set_progress_bar_config(disable=True)

    @property
    def size_multiple(self) -> int:
        """Pixels that one unit of the denoiser covers: latents, and patches of latents for transformers."""
        patch = 1
        transformer = getattr(self.base, "transformer", None)
        if transformer is not None:
            patch = getattr(transformer.config, "patch_size", 1) or 1
        return int(getattr(self.base, "vae_scale_factor", 8)) * int(patch)

    def for_kind(self, kind: Kind) -> Any:
        try:
            return self._by_kind[kind]
        except KeyError:
            raise errors.Unsupported(f"this model cannot do {kind.replace('_', ' ')}", "image") from None

    def arguments(self, task: Task) -> dict[str, Any]:
        """The keyword arguments of the pipeline's call, as far as the pipeline has them."""
        wanted: dict[str, Any] = {
            "prompt": task.prompt,
            "negative_prompt": task.negative_prompt,
            "width": task.width,
            "height": task.height,
            "num_inference_steps": task.steps,
            "guidance_scale": task.guidance_scale,
            "generator": torch.Generator("cpu").manual_seed(task.seed),
        }
        if task.image is not None:
            wanted["image"] = _picture(task)
            wanted["strength"] = task.strength
        if task.mask is not None:
            mask = Image.fromarray(task.mask)
            wanted["mask_image"] = mask.resize((task.width, task.height), Image.Resampling.NEAREST)
        known = inspect.signature(type(self.for_kind(task.kind)).__call__).parameters
        return {name: value for name, value in wanted.items() if name in known}


def load_pipelines(spec: DiffusionSpec, share: Share) -> PipelineSet:
    """Raises ValueError with what to do when the weights are not there or do not fit `share`."""
    folder = Path(spec.weights).expanduser()
    local = is_local(spec.weights)
    if local and not (folder / "model_index.json").is_file():
        raise ValueError(
            f'weights "{spec.weights}" is not a diffusers pipeline: the folder must hold model_index.json'
        )
    base = DiffusionPipeline.from_pretrained(
        str(folder) if local else spec.weights,
        revision=None if local else spec.revision,
        variant=spec.variant,
        dtype=_DTYPES[spec.dtype],
        use_safetensors=True,
        trust_remote_code=False,
        local_files_only=local,
    )
    check_fit(weights_bytes(base), share)
    return PipelineSet(base.to(share.device), spec.revision or hash_of(folder), share.name)


def hash_of(folder: Path) -> str:
    """Identifies the files that make the pixels: SHA-256 over names and contents, in order."""
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        if file.is_file() and not any(part.startswith(".") for part in file.relative_to(folder).parts):
            digest.update(str(file.relative_to(folder)).encode() + b"\0")
            with file.open("rb") as content:
                digest.update(hashlib.file_digest(content, "sha256").digest())
    return f"sha256:{digest.hexdigest()[:32]}"


def _picture(task: Task) -> Image.Image:
    """The input at the size that is asked for."""
    assert task.image is not None
    picture = Image.fromarray(images.flatten(task.image))
    if picture.size != (task.width, task.height):
        picture = picture.resize((task.width, task.height), Image.Resampling.LANCZOS)
    return picture

"""Adapters by name, switched per request, beside requests without."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline, StableDiffusionPipeline
from peft import LoraConfig, get_peft_model_state_dict

from deployments.diffusion.model import DiffusionModel
from deployments.diffusion.spec import DiffusionSpec
from deployments.types import Pixels
from tests.deployments.diffusion.test_model import request


@pytest.fixture(scope="module")
def lora_folders(
    tiny_folder: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """Two adapters with random weights: one for the denoiser, one for the text encoder as well."""
    return {
        name: write_lora(tiny_folder("sd"), tmp_path_factory.mktemp(name), seed, with_text)
        for name, seed, with_text in (("red", 1, False), ("blue", 2, True))
    }


def write_lora(base: Path, folder: Path, seed: int, with_text: bool) -> Path:
    pipeline = DiffusionPipeline.from_pretrained(str(base), local_files_only=True)
    layers: dict[str, Any] = {}
    targets = {"unet_lora_layers": (pipeline.unet, ["to_q", "to_v"])}
    if with_text:
        targets["text_encoder_lora_layers"] = (pipeline.text_encoder, ["q_proj", "v_proj"])
    torch.manual_seed(seed)
    for key, (module, names) in targets.items():
        module.add_adapter(LoraConfig(r=4, lora_alpha=32, target_modules=names, init_lora_weights=False))
        layers[key] = get_peft_model_state_dict(module)
    StableDiffusionPipeline.save_lora_weights(str(folder), **layers)
    return folder


def _diffusers_own(base: Path, folder: Path | None, seed: int) -> Pixels:
    pipeline = DiffusionPipeline.from_pretrained(str(base), local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    if folder is not None:
        pipeline.load_lora_weights(str(folder))
    wanted = request(seed)
    image = pipeline(
        wanted.prompt,
        negative_prompt=wanted.negative_prompt,
        width=wanted.width,
        height=wanted.height,
        num_inference_steps=3,
        guidance_scale=5.0,
        generator=torch.Generator("cpu").manual_seed(seed),
    ).images[0]
    return np.array(image)


async def test_each_request_gets_its_own_adapter(
    make_spec: Callable[..., DiffusionSpec], tiny_folder: Callable[[str], Path], lora_folders: dict[str, Path]
) -> None:
    loras = {name: {"weights": str(folder)} for name, folder in lora_folders.items()}
    model = DiffusionModel("tiny", make_spec(loras=loras))
    await model.load()
    try:
        wishes = [None, "red", "blue"] * 3
        results = await asyncio.gather(
            *(model.render(request(seed, lora=lora)) for seed, lora in enumerate(wishes))
        )
    finally:
        await model.close()
    expected = {
        seed: _diffusers_own(tiny_folder("sd"), lora_folders.get(lora or ""), seed)
        for seed, lora in enumerate(wishes[:3])
    }
    for seed, pixels in expected.items():
        assert np.abs(results[seed].image.astype(int) - pixels).max() <= 1  # type: ignore[union-attr]
    for seed, lora in enumerate(wishes):
        assert results[seed].receipt.details["lora"] == lora
        assert max(map(int, results[seed].receipt.details["steps_by_batch_size"])) <= 3
    assert np.abs(expected[1].astype(int) - _diffusers_own(tiny_folder("sd"), None, 1)).max() > 2


async def test_a_missing_adapter_is_named_at_start(make_spec: Callable[..., DiffusionSpec]) -> None:
    spec = make_spec(loras={"gone": {"weights": "/nowhere/at/all"}})
    with pytest.raises(ValueError, match='lora "gone"'):
        await DiffusionModel("tiny", spec).load()

"""The committed model, loaded the way any model is loaded."""

import json
from functools import cache
from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionPipeline

from models.training.captions import Subject, is_held_out, plain_caption
from models.training.evaluate import background_words
from models.training.export import vocabulary
from models.training.places import EXPORTED
from models.training.things import BACKGROUNDS, thing_words

SIZE_LIMIT_BYTES = 40_000_000


@cache
def pipeline() -> StableDiffusionPipeline:
    loaded = StableDiffusionPipeline.from_pretrained(EXPORTED, local_files_only=True)
    loaded.set_progress_bar_config(disable=True)
    return loaded


def render(prompts: list[str], steps: int, seeds: list[int]) -> torch.Tensor:
    """RGB [n, 3, 64, 64] in -1..1."""
    images: torch.Tensor = (
        pipeline()(
            prompts,
            num_inference_steps=steps,
            guidance_scale=3.0,
            generator=[torch.Generator().manual_seed(seed) for seed in seeds],
            output_type="pt",
        ).images
        * 2
        - 1
    )
    return images


def test_all_files_together_stay_small_and_hold_no_code() -> None:
    files = [path for path in EXPORTED.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= SIZE_LIMIT_BYTES
    assert {path.suffix for path in files} <= {".json", ".safetensors", ".md", ".txt"}


def test_it_computes_in_float32_without_being_told() -> None:
    assert pipeline().unet.dtype == torch.float32
    assert pipeline().text_encoder.dtype == torch.float32
    assert pipeline().vae.dtype == torch.float32


def test_the_same_seed_draws_the_same_picture_alone_or_in_a_batch() -> None:
    both = render(["a fox", "a rocket"], steps=4, seeds=[1, 2])
    alone = render(["a rocket"], steps=4, seeds=[2])
    assert torch.allclose(both[1], alone[0], atol=2e-3)
    assert not torch.allclose(both[0], both[1], atol=0.1)


def test_backgrounds_have_the_asked_colour_in_combinations_never_trained_on() -> None:
    unseen = [
        next(
            Subject(thing, "flat", None, word)
            for thing in thing_words()
            if is_held_out(thing, "flat", word) and word not in thing
        )
        for word in BACKGROUNDS
    ]
    drawn = render([plain_caption(subject) for subject in unseen], steps=10, seeds=list(range(len(unseen))))
    right = [word == s.background for word, s in zip(background_words(drawn), unseen, strict=True)]
    assert sum(right) >= len(unseen) - 2


@pytest.mark.parametrize("prompt", ["", "zxqv wrmbl", "a fox " * 60])
def test_any_prompt_gives_a_picture(prompt: str) -> None:
    drawn = render([prompt], steps=2, seeds=[0])
    assert drawn.shape == (1, 3, 64, 64)
    assert torch.isfinite(drawn).all()


def test_the_vocabulary_beside_the_weights_is_the_one_it_was_trained_with() -> None:
    written = json.loads(Path(EXPORTED / "vocabulary.json").read_text(encoding="utf-8"))
    assert written == vocabulary()
    assert written["things"]["puppy"] == "dog"

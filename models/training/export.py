"""Puts the trained parts together as a `StableDiffusionPipeline` and saves it in half precision.

`python -m models.training.export [--to FOLDER]` reads the checkpoints' averaged weights. Knows file layouts;
trains nothing.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from diffusers import DPMSolverMultistepScheduler, StableDiffusionPipeline

from models.training import autoencoder, checkpoints, diffusion, examples, latents, places, text
from models.training.captions import all_words
from models.training.things import BACKGROUNDS, DEFAULT_BACKGROUND, PAINTABLE, PAINTS, STYLES, thing_words


def trained_pipeline() -> StableDiffusionPipeline:
    """The pipeline of the latest checkpoints, float32. Raises FileNotFoundError while a part is untrained."""
    pixels_part, latent_part = checkpoints.load(autoencoder.NAME), checkpoints.load(diffusion.NAME)
    if pixels_part is None or latent_part is None:
        raise FileNotFoundError(f"{places.CHECKPOINTS} lacks the autoencoder or the diffusion checkpoint")
    vae = autoencoder.new_autoencoder()
    vae.load_state_dict(pixels_part["average"])
    vae.register_to_config(scaling_factor=latents.scaling_factor())
    tokenizer = text.new_tokenizer()
    generator = diffusion.Generator(tokenizer)
    generator.load_state_dict(latent_part["average"])
    return StableDiffusionPipeline(
        vae=vae.eval(),
        text_encoder=generator.text_encoder.eval(),
        tokenizer=tokenizer,
        unet=generator.unet.eval(),
        scheduler=sampling_schedule(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def sampling_schedule() -> DPMSolverMultistepScheduler:
    """DPM-Solver++(2M) from the last training step on: the cosine schedule ends in noise without a trace."""
    return DPMSolverMultistepScheduler(
        num_train_timesteps=examples.TRAIN_TIMESTEPS,
        beta_schedule="squaredcos_cap_v2",
        prediction_type="v_prediction",
        algorithm_type="dpmsolver++",
        solver_order=2,
        timestep_spacing="trailing",
    )


def vocabulary() -> dict[str, Any]:
    """What the model knows, for callers that tell users what it does not. The model card has the schema."""
    things = thing_words()
    colours_and_styles = {*STYLES, *PAINTS, *BACKGROUNDS, "gray"}
    in_names = {word for words in things.values() for phrase in words for word in phrase.split()}
    return {
        "schema_version": 1,
        "things": {phrase: words[0] for words in things.values() for phrase in words},
        "styles": list(STYLES),
        "backgrounds": {
            word: list(rgb) for word, rgb in (BACKGROUNDS | {"gray": BACKGROUNDS["grey"]}).items()
        },
        "default_background": DEFAULT_BACKGROUND,
        "paints": list(PAINTS),
        "paintable": sorted(things[slug][0] for slug in PAINTABLE),
        "understood_without_effect": sorted(all_words() - colours_and_styles - in_names),
    }


def export(folder: Path) -> None:
    pipeline = trained_pipeline().to(torch.float16)
    pipeline.text_encoder.float()  # transformers loads what is stored, diffusers float32
    pipeline.save_pretrained(folder)
    written = json.dumps(vocabulary(), indent=1, ensure_ascii=False) + "\n"
    (folder / "vocabulary.json").write_text(written, encoding="utf-8")
    total_bytes = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    print(f"{folder}: {total_bytes / 1e6:.1f} MB")


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--to", type=Path, default=places.EXPORTED)
    export(arguments.parse_args().to)

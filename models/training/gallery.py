"""Draws the contact sheet of 48 prompts that the README shows.

`python -m models.training.gallery [--model FOLDER] [--to FILE]`. Uses only what a user of the model has.
"""

import argparse
from pathlib import Path
from typing import Final

import torch
from diffusers import StableDiffusionPipeline
from PIL import Image

from models.training import places
from models.training.evaluate import DEFAULT, FEW_STEPS, Settings

PROMPTS: Final = (
    "a red apple on a blue background, flat style",
    "a fox, glossy style",
    "a blue butterfly on a pink background",
    "a rocket on a black background, cartoon style",
    "a pizza on a teal background",
    "an owl on a purple background, flat style",
    "a green car on a yellow background",
    "a sunflower on a blue background, glossy style",
    "a cartoon cat",
    "a puppy on an orange background",
    "a ghost on a black background",
    "a castle on a pink background, cartoon style",
    "a purple octopus, flat style",
    "a snowman on a blue background",
    "a cup of coffee on a brown background",
    "a burger on a red background, glossy style",
    "a robot on a grey background",
    "a cactus on an orange background, flat style",
    "a penguin on a teal background",
    "a yellow balloon on a blue background, glossy style",
    "a strawberry on a green background",
    "a bicycle on a yellow background, flat style",
    "a panda on a green background",
    "a volcano on a grey background, cartoon style",
    "a guitar on a purple background",
    "a turtle on a yellow background, glossy style",
    "a pine tree on a white background, flat style",
    "a lion on a blue background",
    "a donut on a teal background, cartoon style",
    "a red rose on a black background",
    "a sailboat on a teal background, flat style",
    "a dinosaur on a pink background",
    "a pink crab on a blue background",
    "an airplane on a white background, glossy style",
    "a bee on a yellow background, flat style",
    "a diamond on a black background",
    "a watermelon on a pink background",
    "a unicorn on a purple background, cartoon style",
    "a smiley on a blue background, glossy style",
    "a gift on a green background, flat style",
    "a shark on a teal background",
    "a blue heart on a white background, glossy style",
    "a steam train on a green background",
    "an umbrella on a grey background, flat style",
    "a frog on a pink background, cartoon style",
    "a light bulb on a purple background",
    "an ice cream cone on a blue background, flat style",
    "a trophy on a red background, glossy style",
)
COLUMNS: Final = 12
GAP_PX: Final = 4


def contact_sheet(pipeline: StableDiffusionPipeline, settings: Settings) -> Image.Image:
    """One picture a prompt, row by row in the order of `PROMPTS`; the seed is the prompt's position."""
    drawn: list[Image.Image] = pipeline(
        list(PROMPTS),
        num_inference_steps=settings.steps,
        guidance_scale=settings.guidance_scale,
        generator=[torch.Generator().manual_seed(seed) for seed in range(len(PROMPTS))],
    ).images
    cell = drawn[0].width + GAP_PX
    rows = -(-len(drawn) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * cell + GAP_PX, rows * cell + GAP_PX), "white")
    for position, picture in enumerate(drawn):
        row, column = divmod(position, COLUMNS)
        sheet.paste(picture, (GAP_PX + column * cell, GAP_PX + row * cell))
    return sheet


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--model", type=Path, default=places.EXPORTED)
    arguments.add_argument(
        "--to", type=Path, default=places.EXPORTED.parents[1] / "docs/images/gallery-default-model.png"
    )
    arguments.add_argument("--few-steps", action="store_true")
    chosen = arguments.parse_args()
    loaded = StableDiffusionPipeline.from_pretrained(chosen.model, safety_checker=None)
    chosen.to.parent.mkdir(parents=True, exist_ok=True)
    contact_sheet(loaded, FEW_STEPS if chosen.few_steps else DEFAULT).save(chosen.to, optimize=True)
    print(chosen.to)

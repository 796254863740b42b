"""Writes the trained denoiser and its card: `python -m models.upscaler_training.export_denoiser`.

The card's numbers come from this run, through the code that serves the model.
"""

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from rapidocr import RapidOCR

from deployments.denoiser import network
from deployments.denoiser.backend import DenoiserBackend
from deployments.denoiser.spec import DenoiserSpec
from deployments.tiles.work import TileWork
from models.upscaler_training import (
    artwork,
    degradations,
    evaluate,
    loop,
    pictures,
    places,
    sources,
    train_denoiser,
)
from models.upscaler_training.artwork import Picture

Pairs = list[tuple[Picture, Picture]]


def main() -> None:
    trained, step = loop.trained(train_denoiser.network(), train_denoiser.CHECKPOINT)
    shutil.rmtree(places.DENOISER, ignore_errors=True)
    network.save(trained, places.DENOISER)
    denoise = served(places.DENOISER)
    sets = held_out_sets()
    restorers: dict[str, evaluate.Restorer] = {
        "as it came": lambda worn: worn,
        "non-local means, 3": lambda worn: evaluate.non_local_means(worn, 3),
        "non-local means, 10": lambda worn: evaluate.non_local_means(worn, 10),
        "this model": denoise,
    }
    scores = evaluate.table(restorers, sets)
    reading = ocr_table(restorers)
    print(f"step {step}\n{scores}\n\n{reading}")
    card = Template((places.CARDS / "denoise_ui.md").read_text()).substitute(
        scores=scores,
        reading=reading,
        parameters=f"{sum(tensor.numel() for tensor in trained.parameters()):,}",
        megabytes=f"{(places.DENOISER / network.WEIGHTS_FILE).stat().st_size / 1e6:.2f}",
        steps=step,
    )
    (places.DENOISER / "README.md").write_text(card)


def served(folder: Path) -> evaluate.Restorer:
    backend = DenoiserBackend(folder)
    spec = DenoiserSpec(kind="denoiser", weights=str(folder))
    return lambda worn: evaluate.through(TileWork(backend, spec, 1, worn))


def held_out_sets() -> dict[str, Pairs]:
    """(worn, clean) pairs of unseen icons, interface art and text, worn as in training, by JPEG alone,
    and by JPEG whose blocks no longer begin at the top left."""
    chance = np.random.default_rng(5)
    groups = {
        "icons of a set never trained on": pictures.held_out_icons()["flat-color-icons"],
        "interface art": pictures.held_out_flat(),
        "text in unseen fonts and words": pictures.held_out_text(),
    }
    wears: dict[str, Callable[[Picture], Picture]] = {
        "mixed wear": lambda clean: degradations.worn(clean, chance),
        "JPEG 50": lambda clean: degradations.jpeg(clean, 50, 2),
        "JPEG 80": lambda clean: degradations.jpeg(clean, 80, 2),
    }
    sets = {
        f"{title}, {name}": [(wear(clean), clean) for clean in group]
        for name, wear in wears.items()
        for title, group in groups.items()
    }
    for title in groups:
        saved = sets[f"{title}, JPEG 50"]
        sets[f"{title}, JPEG 50, then cropped"] = [(worn[5:, 3:], clean[5:, 3:]) for worn, clean in saved]
    for name in [*wears, "JPEG 50, then cropped"]:
        every = [pair for title in groups for pair in sets[f"{title}, {name}"]]
        sets[f"all of these, {name}"] = every
    return sets


def ocr_table(restorers: dict[str, evaluate.Restorer], count: int = 80) -> str:
    """How many worn one-line labels RapidOCR reads exactly, case and spaces aside."""
    settings = {"Det.limit_side_len": 256, "Det.limit_type": "max", "Global.log_level": "critical"}
    reader: Any = RapidOCR(params=settings)
    chance, noise = random.Random(6), np.random.default_rng(6)
    labels = [_label(chance) for _ in range(count)]
    worn = [(degradations.worn(picture, noise), text) for picture, text in labels]
    read = [
        sum(_reads(reader, restore(picture), text) for picture, text in worn)
        for restore in restorers.values()
    ]
    head = [f"| read exactly, of {count} |", *(f" {name} |" for name in restorers)]
    row = ["| labels of 256x64 px, unseen fonts and words |", *(f" {exact} |" for exact in read)]
    return "\n".join(["".join(head), "|---" * (len(restorers) + 1) + "|", "".join(row)])


def _label(chance: random.Random) -> tuple[Picture, str]:
    font = ImageFont.truetype(str(chance.choice(sources.font_files("held_out"))), chance.randint(18, 32))
    paper = artwork.colour(chance)
    text = " ".join(chance.sample(sources.words("held_out"), 2)).title()
    panel = Image.new("RGB", (256, 64), paper)
    drawing = ImageDraw.Draw(panel)
    while drawing.textlength(text, font) > 240:
        text = text[:-1].strip()
    drawing.text((128, 32), text, artwork.contrasting(paper, chance), font, anchor="mm")
    return np.asarray(panel), text


def _reads(reader: Any, picture: Picture, text: str) -> bool:
    found = reader(np.ascontiguousarray(picture[..., ::-1])).txts or ()
    return "".join(found).replace(" ", "").lower() == text.replace(" ", "").lower()


if __name__ == "__main__":
    main()

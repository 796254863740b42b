"""Measures an exported model: is it the thing, on the colour, and how much of it is memory.

`python -m models.training.evaluate [--model FOLDER] [--every N]`. Renders every thing in every style, the
held-out combinations, and the few-step variant, and judges them with the classifier trained on icons alone.
Knows nothing of how the model was trained.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from diffusers import StableDiffusionPipeline
from torch import Tensor
from torch.nn import functional

from models.training import pictures, places
from models.training.captions import Subject, is_held_out, plain_caption
from models.training.classifier import ranks, trained_classifier
from models.training.devices import prepare
from models.training.things import BACKGROUNDS, PAINTABLE, PAINTS, STYLES, thing_words

RENDER_BATCH = 50
BORDER_PX = 3


@dataclass(frozen=True, slots=True)
class Settings:
    steps: int
    guidance_scale: float


DEFAULT = Settings(steps=20, guidance_scale=4.0)
FEW_STEPS = Settings(steps=8, guidance_scale=4.0)


@dataclass(frozen=True, slots=True)
class Score:
    """Ratios of the samples, 0..1."""

    samples: int
    top_1: float
    top_5: float
    background: float


def render(pipeline: StableDiffusionPipeline, subjects: list[Subject], settings: Settings) -> Tensor:
    """RGB [n, 3, 64, 64] in -1..1. The seed of a picture is its position in the list."""
    made = []
    for start in range(0, len(subjects), RENDER_BATCH):
        part = subjects[start : start + RENDER_BATCH]
        seeds = [torch.Generator().manual_seed(start + offset) for offset in range(len(part))]
        rendered = pipeline(
            [plain_caption(subject) for subject in part],
            num_inference_steps=settings.steps,
            guidance_scale=settings.guidance_scale,
            generator=seeds,
            output_type="pt",
        ).images
        made.append(rendered.float().cpu() * 2 - 1)
    return torch.cat(made)


def vocabulary_subjects(held_out: bool) -> list[Subject]:
    """Held out: every such combination. Else: each thing in each style on one background that is not."""
    chance = np.random.default_rng(5)
    chosen: list[Subject] = []
    for thing in thing_words():
        for style in STYLES:
            fitting = [word for word in BACKGROUNDS if is_held_out(thing, style, word) == held_out]
            kept = fitting if held_out else [str(chance.choice(fitting))]
            chosen += [Subject(thing, style, None, word) for word in kept]
    return chosen


def painted_subjects() -> list[Subject]:
    """Each paintable thing in each paint, in one style, on white: "a blue balloon"."""
    styles = list(STYLES)
    pairs = [(thing, paint) for thing in sorted(PAINTABLE) for paint in PAINTS]
    return [Subject(thing, styles[i % len(styles)], paint, "white") for i, (thing, paint) in enumerate(pairs)]


def background_words(rgb: Tensor) -> list[str]:
    """The name of the nearest background colour to the median of each picture's border."""
    border = torch.ones(rgb.shape[-2:], dtype=torch.bool)
    border[BORDER_PX:-BORDER_PX, BORDER_PX:-BORDER_PX] = False
    median = (rgb[..., border].median(-1).values + 1) * 127.5
    colours = torch.tensor(list(BACKGROUNDS.values()), dtype=torch.float32)
    nearest = torch.cdist(median, colours).argmin(1)
    return [list(BACKGROUNDS)[index] for index in nearest.tolist()]


def score(rgb: Tensor, subjects: list[Subject]) -> Score:
    order = {thing: index for index, thing in enumerate(thing_words())}
    rank = ranks(trained_classifier(), rgb, torch.tensor([order[s.thing] for s in subjects]))
    right_background = [
        word == subject.background for word, subject in zip(background_words(rgb), subjects, strict=True)
    ]
    return Score(
        samples=len(subjects),
        top_1=(rank < 1).float().mean().item(),
        top_5=(rank < 5).float().mean().item(),
        background=float(np.mean(right_background)),
    )


@dataclass(frozen=True, slots=True)
class Nearness:
    """Distance to the nearest of all training pictures on the asked background, RMS over RGB 0..255 at 32 px.

    `fresh_median` is the same for icons drawn at a place and size that training does not use: what "new but
    the same drawing" amounts to. `same_thing`: ratio of samples whose nearest picture shows what was meant.
    """

    samples: int
    median: float
    tenth: float
    ninetieth: float
    fresh_median: float
    same_thing: float


def nearness(rgb: Tensor, subjects: list[Subject]) -> Nearness:
    pixels, drawings = pictures.load(), pictures.all_drawings()
    distances: list[float] = []
    fresh: list[float] = []
    same: list[bool] = []
    for word, colour in BACKGROUNDS.items():
        mine = [i for i, subject in enumerate(subjects) if subject.background == word]
        if not mine:
            continue
        gallery = torch.cat(list(_small_on(pixels, colour)))
        found = torch.cdist(_small(rgb[mine]), gallery)
        nearest = found.min(1)
        distances += nearest.values.tolist()
        shown = [drawings[int(i) // pixels.shape[1]].thing for i in nearest.indices]
        same += [thing == subjects[i].thing for thing, i in zip(shown, mine, strict=True)]
        new = [pictures.draw(STYLES[subjects[i].style], subjects[i].thing, 0.88, 0.01, -0.01) for i in mine]
        colours = np.array([colour] * len(new), dtype=np.float32)
        drawn = torch.from_numpy(pictures.compose(np.stack(new), colours))
        fresh += torch.cdist(_small(drawn), gallery).min(1).values.tolist()
    scale = 127.5 / (3 * 32 * 32) ** 0.5
    tenth, median, ninetieth = np.quantile(distances, (0.1, 0.5, 0.9)) * scale
    return Nearness(
        len(distances), median, tenth, ninetieth, float(np.median(fresh) * scale), float(np.mean(same))
    )


def _small(rgb: Tensor) -> Tensor:
    return functional.avg_pool2d(rgb.clamp(-1, 1), 2).flatten(1)


def _small_on(pixels: npt.NDArray[np.uint8], colour: tuple[int, int, int]) -> Iterator[Tensor]:
    for drawing in pixels:
        colours = np.array([colour] * len(drawing), dtype=np.float32)
        yield _small(torch.from_numpy(pictures.compose(drawing, colours)))


def evaluate(folder: Path, every: int, guidance_scale: float) -> Iterator[tuple[str, Score | Nearness]]:
    """All measures of the model in `folder` by name, as they are made, on every `every`-th prompt."""
    pipeline = StableDiffusionPipeline.from_pretrained(folder, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    default = replace(DEFAULT, guidance_scale=guidance_scale)
    vocabulary = vocabulary_subjects(held_out=False)[::every]
    rendered = render(pipeline, vocabulary, default)
    yield "default", score(rendered, vocabulary)
    for style in STYLES:
        mine = [i for i, subject in enumerate(vocabulary) if subject.style == style]
        yield f"default, {style}", score(rendered[mine], [vocabulary[i] for i in mine])
    few = replace(FEW_STEPS, guidance_scale=guidance_scale)
    yield "few steps", score(render(pipeline, vocabulary, few), vocabulary)
    unseen = vocabulary_subjects(held_out=True)[::every]
    yield "held out", score(render(pipeline, unseen, default), unseen)
    painted = painted_subjects()[::every]
    yield "painted", score(render(pipeline, painted, default), painted)
    yield "nearness", nearness(rendered, vocabulary)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--model", type=Path, default=places.EXPORTED)
    arguments.add_argument("--every", type=int, default=1, help="judge only every n-th prompt")
    arguments.add_argument("--guidance-scale", type=float, default=DEFAULT.guidance_scale)
    chosen = arguments.parse_args()
    if chosen.every > 1 and chosen.every % len(STYLES) == 0:
        arguments.error(
            f"--every {chosen.every} would judge one style only; take one that {len(STYLES)} does not divide"
        )
    prepare()
    for name, measured in evaluate(chosen.model, chosen.every, chosen.guidance_scale):
        print(json.dumps({name: asdict(measured)}), flush=True)

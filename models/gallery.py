"""Draws the contact sheet of the specialists that the README shows: what each is for, from its own hands.

`python -m models.gallery [--to FILE]`. Every picture is rendered by the models that ship, in this process,
through the same interface as in a deployment.
"""

import argparse
import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from pydantic import TypeAdapter

from deployments.catalog import ModelSpec, build_model
from deployments.model import Model
from deployments.types import Pixels, RenderRequest
from models.upscaler_training.degradations import worn

ROOT: Final = Path(__file__).parents[1]
FONT: Final = ROOT / "deployments/typesetter/fonts/Inter.ttf"
SPECS: Final[dict[str, dict[str, Any]]] = {
    "typesetter": {"kind": "typesetter"},
    "creative": {"kind": "diffusion", "weights": str(ROOT / "models/default")},
    "upscaler": {"kind": "upscaler", "weights": str(ROOT / "models/upscale_2x")},
    "denoiser": {"kind": "denoiser", "weights": str(ROOT / "models/denoise_ui")},
}
SET: Final = (
    ('a green ui-badge that says "SALE 50%"', 320, 160),
    ('a dark blue button that says "Add to cart" with a cart icon', 320, 160),
    ('a yellow pill that says "NEW"', 320, 160),
    ('a purple banner that says "Free returns" "for *30 days*"', 320, 160),
    ('a red label that says "Größe XL"', 320, 160),
    ('a teal badge that says "تخفيضات"', 320, 160),
    ('an orange badge that says "新発売"', 320, 160),
    ('a navy card that says "Order shipped" "Arrives on Tuesday" with a truck icon', 320, 160),
)
POSTERS: Final = (
    ("a rocket on a black background, cartoon style", "To the *Moon*", 3),
    ("a yellow balloon on a blue background, glossy style", "Birthday *Fair*", 19),
    ("a diamond on a black background", "Gala *Night*", 35),
    ("a sailboat on a teal background, flat style", "Spring *Regatta*", 30),
)
ENLARGED: Final = (("a fox, glossy style", 1), ("a red apple on a blue background, flat style", 0))
WORN: Final = ('a blue button that says "Checkout"', 'a white card that says "Invoice" "Due in 14 days"')

WIDTH, MARGIN, GAP, CAPTION = 1160, 32, 16, 44
INK, QUIET, PAPER = "#1c1e21", "#6b7076", "#ffffff"


@dataclass(frozen=True, slots=True)
class Row:
    """Pictures beside each other under a title; each has a caption or none."""

    title: str
    pictures: tuple[tuple[str, Image.Image], ...]


class Studio:
    """The models, loaded once."""

    def __init__(self, models: dict[str, Model]) -> None:
        self._models = models

    async def render(self, model: str, prompt: str, width: int, height: int, **more: Any) -> Pixels:
        request = RenderRequest("gallery", prompt, width, height, more.pop("seed", 0), **more)
        result = await self._models[model].render(request)
        assert isinstance(result.image, np.ndarray)
        return result.image

    async def enlarged(self, picture: Pixels) -> Pixels:
        height, width = picture.shape[:2]
        return await self.render("upscaler", "", 2 * width, 2 * height, image=picture)

    async def drawn(self, prompt: str, seed: int) -> Pixels:
        return await self.render("creative", prompt, 64, 64, seed=seed, steps=20, guidance_scale=4.0)

    async def poster(self, prompt: str, words: str, seed: int) -> Pixels:
        large = await self.enlarged(await self.enlarged(await self.drawn(prompt, seed)))
        says = f'a poster that says "{words}"'
        return await self.render("typesetter", says, 256, 256, image=large)


async def rows(studio: Studio) -> list[Row]:
    chance = np.random.default_rng(11)
    words = [("", shown(await studio.render("typesetter", *each))) for each in SET]
    posters = [("", shown(await studio.poster(*each))) for each in POSTERS]
    enlarged = []
    for prompt, seed in ENLARGED:
        small = await studio.drawn(prompt, seed)
        large = await studio.enlarged(small)
        plain = shown(small).resize((128, 128), Image.Resampling.BICUBIC)
        enlarged += [("bicubic", magnified(plain)), ("upscaler", magnified(shown(large)))]
    cleaned = []
    for prompt in WORN:
        clean = await studio.render("typesetter", prompt, 256, 128)
        pixels = worn(np.asarray(shown(clean)), chance)
        repaired = await studio.render("denoiser", "", 256, 128, image=pixels)
        cleaned += [("worn", magnified(shown(pixels))), ("denoiser", magnified(shown(repaired)))]
    return [
        Row("Typesetter: words that are right, in any script", tuple(words[:4])),
        Row("", tuple(words[4:])),
        Row("Composition: a picture by the creative model, enlarged, then the words", tuple(posters)),
        Row("Upscaler: twice the size, beside bicubic", tuple(enlarged)),
        Row("Denoiser: interface art after too many copies, and again", tuple(cleaned)),
    ]


def shown(pixels: Pixels) -> Image.Image:
    """On white, where it is transparent."""
    picture = Image.fromarray(pixels)
    if picture.mode != "RGBA":
        return picture.convert("RGB")
    page = Image.new("RGBA", picture.size, PAPER)
    return Image.alpha_composite(page, picture).convert("RGB")


def magnified(picture: Image.Image) -> Image.Image:
    """Pixel by pixel, so that differences can be seen."""
    return picture.resize((2 * picture.width, 2 * picture.height), Image.Resampling.NEAREST)


def sheet(of: list[Row]) -> Image.Image:
    title, small = ImageFont.truetype(FONT, 22), ImageFont.truetype(FONT, 15)
    columns = 4
    cell = (WIDTH - 2 * MARGIN - (columns - 1) * GAP) // columns
    heights = [max(fitted(picture, cell).height for _, picture in row.pictures) for row in of]
    captions = [any(caption for caption, _ in row.pictures) for row in of]
    total = MARGIN + sum(
        (CAPTION if row.title else 0) + height + (26 if named else 0) + GAP
        for row, height, named in zip(of, heights, captions, strict=True)
    )
    page = Image.new("RGB", (WIDTH, total + MARGIN - GAP), PAPER)
    draw = ImageDraw.Draw(page)
    top = MARGIN
    for row, height, named in zip(of, heights, captions, strict=True):
        if row.title:
            draw.text((MARGIN, top), row.title, INK, title)
            top += CAPTION
        for column, (caption, picture) in enumerate(row.pictures):
            left = MARGIN + column * (cell + GAP)
            page.paste(fitted(picture, cell), (left, top))
            draw.text((left, top + height + 6), caption, QUIET, small)
        top += height + (26 if named else 0) + GAP
    return page


def fitted(picture: Image.Image, width: int) -> Image.Image:
    return picture.resize((width, picture.height * width // picture.width), Image.Resampling.LANCZOS)


async def draw() -> Image.Image:
    adapter: TypeAdapter[ModelSpec] = TypeAdapter(ModelSpec)
    models = {name: build_model(name, adapter.validate_python(spec)) for name, spec in SPECS.items()}
    for model in models.values():
        await model.load()
    try:
        return sheet(await rows(Studio(models)))
    finally:
        for model in models.values():
            await model.close()


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--to", type=Path, default=ROOT / "docs/images/gallery.png")
    chosen = arguments.parse_args()
    chosen.to.parent.mkdir(parents=True, exist_ok=True)
    asyncio.run(draw()).save(chosen.to, optimize=True)
    print(chosen.to)

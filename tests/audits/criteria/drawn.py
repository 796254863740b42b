"""Pictures with known properties."""

import numpy as np
from PIL import Image, ImageDraw

from audits.criteria.registry import criteria
from audits.criteria.subject import Measured, Picture, Subject


def picture(image: Image.Image, **facts: float) -> Picture:
    return Picture(np.asarray(image.convert("RGBA")), "A" in image.getbands(), 1000, **facts)


def flat(colour: str, size: tuple[int, int] = (64, 64)) -> Image.Image:
    return Image.new("RGB", size, colour)


def words(text: str, size: tuple[int, int] = (256, 96)) -> Image.Image:
    image = Image.new("RGB", size, "white")
    ImageDraw.Draw(image).text((size[0] / 2, size[1] / 2), text, fill="black", font_size=40, anchor="mm")
    return image


def measure(name: str, subject: Subject) -> Measured:
    found = criteria()[name].measure(subject)
    assert found is not None
    return found


def value(name: str, *images: Image.Image, alone: Image.Image | None = None, **facts: object) -> float:
    shown = [picture(each) for each in images]
    subject = Subject(shown, picture(alone) if alone else None, **facts)  # type: ignore[arg-type]
    return measure(name, subject).value

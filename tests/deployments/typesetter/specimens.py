"""Texts in several scripts, pictures to set them over, and measurements of what was set.

Shared by the tests, which take a few of each, and by benchmarks/typesetter.py, which takes them all.
"""

import io
import random
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import resvg_py
from PIL import Image, ImageFilter

from deployments.types import Encoding, ImageFormat, Pixels, RenderRequest
from deployments.typesetter.colour import Colour
from deployments.typesetter.composer import compose
from deployments.typesetter.fonts import FontLibrary
from deployments.typesetter.layout import Kind, Layout, Line
from deployments.typesetter.scene import Scene, to_svg

SIDES = (128, 192, 256, 384, 512, 768, 1024)
CANVASES = [(w, h) for w in SIDES for h in SIDES if h <= 2 * w <= 8 * h]
FILLS = (
    "green",
    "red",
    "navy",
    "amber",
    "#7a3ff2",
    "teal",
    "white",
    "black",
    "pink",
    "gray",
    "lime",
    "orange",
)
MAX_CHARACTERS = 60

WORDS = {
    "latin": "Sale New Free Summer Winter Limited Offer Save Today Only Members Best Price Download Weekend "
    "Family Ticket Garden Music Fresh Coffee Premium Support Launch Early Access Final Hours Travel Light "
    "Power",
    "german": "Jetzt Günstig Größe Schlußverkauf Für Alle Öffnung Übersicht Straße Käse Brötchen Frühling "
    "Angebot",
    "greek": "Προσφορά Καλοκαίρι Σήμερα Δωρεάν Νέο Έκπτωση Μουσική Καφές Ταξίδι Αθήνα",
    "cyrillic": "Скидка Новинка Сегодня Лето Бесплатно Музыка Кофе Путешествие Цена Зима Ёлка Щука",
    "arabic": "خصم اليوم جديد مجاني عرض الصيف موسيقى قهوة سفر لفترة محدودة",
    "japanese": "税込 セール 新発売 本日限り 無料 夏の音楽 コーヒー 送料 期間限定 おすすめ",
}
NUMBERS = ("50%", "2 + 1", "24/7", "19,99 €", "$5", "No. 1", "100%", "3 for 2", "#42", "10:30")
ENDINGS = ("!", "?", ".", " & more", "")
LATIN_SCRIPTS = frozenset({"latin", "german"})


@dataclass(frozen=True)
class Specimen:
    text: str
    script: str
    kind: Kind
    fill: str
    width: int
    height: int

    @property
    def layout(self) -> Layout:
        return Layout(kind=self.kind, lines=(Line(text=self.text),), fill=self.fill)


@dataclass(frozen=True)
class Measurement:
    """`clear_px` is the least distance from ink to the edge of the safe area; negative when clipped.

    `contrast` is None where strokes are too thin for any pixel to be all ink.
    """

    clear_px: float
    contrast: float | None


def specimens(count: int, seed: int = 1) -> Iterator[Specimen]:
    """Every kind, script and size in turn; lengths from 1 to 60 characters."""
    chance = random.Random(seed)
    kinds, scripts = list(Kind), list(WORDS)
    scripts = ["latin", *scripts, "german"]
    for index in range(count):
        script = scripts[index % len(scripts)]
        text = _text(chance, script, target=1 + (index * 7) % MAX_CHARACTERS)
        kind = kinds[(index // len(scripts)) % len(kinds)]
        width, height = chance.choice(CANVASES)
        yield Specimen(text, script, kind, chance.choice(FILLS), width, height)


def _text(chance: random.Random, script: str, target: int) -> str:
    if target == 1:
        return chance.choice(WORDS[script].replace(" ", ""))
    words = WORDS[script].split()
    parts: list[str] = []
    while True:
        part = chance.choice(NUMBERS) if chance.random() < 0.2 else chance.choice(words)
        if len(" ".join([*parts, part])) > target:
            break
        parts.append(part)
    text = " ".join(parts) or chance.choice(words)[:target]
    ending = chance.choice(ENDINGS)
    return text + ending if len(text + ending) <= MAX_CHARACTERS else text


def measure(scene: Scene) -> Measurement:
    """From pixels: the scene drawn with and without its words.

    Ink is where the two differ; contrast is the worst of a pixel fully covered by ink against the same
    pixel without it.
    """
    bare, full = draw(scene, with_text=False), draw(scene, with_text=True)
    rows, columns = np.nonzero(np.abs(full.astype(int) - bare).max(axis=2) > 24)
    assert rows.size, "nothing was set"
    safe = scene.safe_area
    clear = min(
        columns.min() - safe.x,
        rows.min() - safe.y,
        safe.right - columns.max() - 1,
        safe.bottom - rows.max() - 1,
    )
    inks = np.array([[ink.red, ink.green, ink.blue] for ink in _inks_in_use(scene)])
    is_ink = (np.abs(full[..., None, :3].astype(int) - inks).max(axis=-1) <= 1).any(axis=-1)
    is_ink &= np.abs(full.astype(int) - bare).max(axis=2) > 24
    ratio = float(_contrast(full[is_ink], bare[is_ink]).min()) if is_ink.any() else None
    return Measurement(float(clear), ratio)


def _inks_in_use(scene: Scene) -> set[Colour]:
    return {scene.text.inks[line.role] for line in scene.text.block.lines}


def draw(scene: Scene, with_text: bool) -> Pixels:
    png = resvg_py.svg_to_bytes(
        svg_string=to_svg(scene, with_text=with_text), skip_system_fonts=True, background="#ffffff"
    )
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def _contrast(one: Pixels, other: Pixels) -> npt.NDArray[np.float64]:
    first, second = _luminance(one), _luminance(other)
    return (np.maximum(first, second) + 0.05) / (np.minimum(first, second) + 0.05)


def _luminance(pixels: Pixels) -> npt.NDArray[np.float64]:
    channels = pixels.astype(np.float64) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return np.asarray(linear @ np.array([0.2126, 0.7152, 0.0722]))


def scene_of(specimen: Specimen, library: FontLibrary) -> Scene:
    return compose(specimen.layout, specimen.width, specimen.height, 0, library, {})


def noisy_picture(seed: int, width: int = 512, height: int = 640) -> Pixels:
    """Structure at several scales and grain on top, in random colours: busy everywhere."""
    chance = np.random.default_rng(seed)
    total = np.zeros((height, width, 3), np.float32)
    for cells in (4, 12, 40):
        coarse = Image.fromarray(chance.integers(0, 256, (cells, cells, 3), np.uint8))
        total += np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), np.float32)
    total = total / 3 + chance.normal(0, 28, total.shape)
    image = Image.fromarray(np.clip(total, 0, 255).astype(np.uint8))
    return np.asarray(image.filter(ImageFilter.GaussianBlur(float(chance.uniform(0, 1.2)))))


def poster_request(seed: int) -> tuple[RenderRequest, str]:
    chance = random.Random(seed)
    text = _text(chance, "latin", chance.randint(6, 40))
    options = {"layout": {"kind": "poster", "lines": [{"text": text}]}}
    encoding = Encoding(ImageFormat.PNG)
    request = RenderRequest(
        "poster", "", 512, 640, seed, image=noisy_picture(seed), options=options, encoding=encoding
    )
    return request, text

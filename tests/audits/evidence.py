"""A made-up audit with real pictures: three asset types, three variants, drawn by Pillow, the same every
time."""

from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter

from audits.evidence import Criterion, Evidence, Rates, Reading, Sample

SIZES = {"ui-badge": (256, 64), "poster-title": (192, 256), "icon": (96, 96)}
CRITERIA = {
    "ui-badge": (
        Criterion("legible", "reads the text exactly", 0.95),
        Criterion("palette", "ΔE to the palette ≤ 3", 0.9),
        Criterion("size", "256x64, ≤ 20 KB"),
    ),
    "poster-title": (
        Criterion("legible", "character error rate ≤ 0.1", 0.9),
        Criterion("repeatable", "the same pixels again"),
    ),
    "icon": (
        Criterion("edges", "nothing touches the border", 0.8),
        Criterion("alpha", "a clean outline", 0.9),
    ),
}
MODELS = {
    "typesetter": ("typography_focused",),
    "creative": ("creative_highfidelity",),
    "creative + typeset": ("creative_highfidelity", "typography_focused"),
}
# Latency in ms and GPU seconds of one picture.
SPEED = {"typesetter": (40.0, 0.0), "creative": (900.0, 0.8), "creative + typeset": (980.0, 0.82)}
WORDS = (
    "SALE",
    "NEW",
    "50% OFF",
    "BEST",
    "FREE",
    "LAST CALL",
    "TODAY",
    "HOT",
    "2 FOR 1",
    "BACK",
    "MORE",
    "GO",
)


def made_up_evidence(folder: Path, questions: int = 12, *, name: str = "made up") -> Evidence:
    """Typesetter: all words legible, but no pictures. Creative: pictures without words. Composition: both."""
    samples = [
        _sample(folder, asset, variant, number)
        for asset in SIZES
        for number in range(questions)
        for variant in MODELS
    ]
    return Evidence(
        name=name,
        target="http://127.0.0.1:8000",
        started_unix_s=1_790_000_000.0,
        criteria=CRITERIA,
        samples=tuple(samples),
        rates=Rates(staff_usd_per_hour=60, gpu_usd_per_hour=2.5, fix_minutes=6),
        versions={
            "atelier": "0.1.0",
            "policy": "0a1b2c3d4e5f",
            "typography_focused": "r1",
            "ocr": "rapidocr 3.10.0",
        },
    )


def _sample(folder: Path, asset: str, variant: str, number: int) -> Sample:
    word = WORDS[number % len(WORDS)]
    misses = _misses(asset, variant, number)
    path = folder / f"{asset}-{number:02}-{variant.replace(' ', '')}.png"
    lost = asset == "icon" and variant == "creative" and number == 3
    if not lost:
        _draw(asset, variant, word, number).save(path)
    latency_ms, gpu_s = SPEED[variant]
    return Sample(
        id=path.stem,
        asset=asset,
        variant=variant,
        question=f"{asset}-{number:02}",
        prompt=f'a {asset} that says "{word}"',
        seed=number,
        picture=None if lost else path,
        readings=()
        if lost
        else tuple(
            Reading(each.name, each.name not in misses, 0.0, misses.get(each.name, ""))
            for each in CRITERIA[asset]
        ),
        latency_ms=None if lost else latency_ms * (1 + (number * 7 % 12) / 20),
        gpu_s=gpu_s,
        models=() if lost else MODELS[variant],
        receipt=None
        if lost
        else {"request_id": path.stem, "route": asset, "model": "+".join(MODELS[variant])},
        error="503 refused_capacity" if lost else None,
    )


def _misses(asset: str, variant: str, number: int) -> dict[str, str]:
    if asset == "icon":
        return {"edges": "touches the right border"} if variant == "typesetter" and number % 6 == 0 else {}
    if variant == "creative":
        return {"legible": "read nothing"}
    if asset == "poster-title" and variant == "typesetter":
        return {"repeatable": "2 of 3 differ"} if number % 2 else {}
    if asset == "ui-badge" and variant == "creative + typeset" and number % 3 == 0:
        return {"legible": 'read "SA1E"', "palette": "ΔE 7.4"}
    return {}


def _draw(asset: str, variant: str, word: str, number: int) -> Image.Image:
    size = SIZES[asset]
    image = Image.new("RGB", size, "#15705f" if variant == "typesetter" else "#c9d6e8")
    draw = ImageDraw.Draw(image)
    if variant != "typesetter":
        for ring in range(6):
            inset = ring * min(size) / 14
            box = (inset, inset, size[0] - inset, size[1] - inset)
            draw.ellipse(box, fill=f"hsl({(number * 30 + ring * 25) % 360}, 60%, {40 + 7 * ring}%)")
    if variant == "creative":
        return image.filter(ImageFilter.GaussianBlur(2))
    draw.text((size[0] / 2, size[1] / 2), word, fill="white", font_size=min(28, size[0] / 5), anchor="mm",
              stroke_width=2, stroke_fill="#123")  # fmt: skip
    return image

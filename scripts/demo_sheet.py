"""Puts the samples of `make up` (out/*.png) side by side into docs/images/demo.png, each with its size.

Small samples are enlarged by whole factors without smoothing, so that what is shown is what was rendered.
Usage: python scripts/demo_sheet.py [FOLDER]
"""

import sys
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = ("badge.png", "poster.png", "poster-2x.png")
SHEET = ROOT / "docs" / "images" / "demo.png"
FONT = ROOT / "deployments" / "typesetter" / "fonts" / "Inter.ttf"

SHOWN_HEIGHT = 256
MARGIN, GAP, CAPTION_HEIGHT = 24, 24, 40
PAPER, INK = "#f8fafc", "#17233a"


@dataclass(frozen=True, slots=True)
class Panel:
    picture: Image.Image
    caption: str


def main(folder: Path) -> None:
    missing = [name for name in SAMPLES if not (folder / name).is_file()]
    if missing:
        sys.exit(
            f"{folder} has no {', '.join(missing)}: run `make up` first, or name the folder that has them"
        )
    sheet = compose([panel(folder / name) for name in SAMPLES])
    sheet.save(SHEET, optimize=True)
    print(f"{SHEET.relative_to(ROOT)}: {sheet.width}x{sheet.height}")


def panel(path: Path) -> Panel:
    with Image.open(path) as image:
        picture = image.convert("RGBA")
    factor = max(1, SHOWN_HEIGHT // picture.height)
    size = f"{picture.width} x {picture.height}"
    shown = picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)
    return Panel(shown, f"{path.name}, {size}" + (f", shown {factor}x" if factor > 1 else ""))


def compose(panels: list[Panel]) -> Image.Image:
    """One row, captions below, on a light ground that reads in a dark page too."""
    height = max(each.picture.height for each in panels)
    width = sum(each.picture.width for each in panels) + GAP * (len(panels) - 1) + 2 * MARGIN
    sheet = Image.new("RGB", (width, height + CAPTION_HEIGHT + MARGIN), PAPER)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.truetype(FONT, 15)
    left = MARGIN
    for each in panels:
        sheet.paste(each.picture, (left, MARGIN), each.picture)
        draw.text(
            (left, MARGIN + height + CAPTION_HEIGHT // 2), each.caption, fill=INK, font=font, anchor="lm"
        )
        left += each.picture.width + GAP
    return sheet


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "out")

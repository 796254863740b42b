"""Small pieces of the report: how numbers are written, intervals as strips, pictures as thumbnails."""

import base64
import io
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from PIL import Image

THUMBNAIL_PX = 256


def percent(ratio: float) -> str:
    return f"{100 * ratio:.0f}%"


def milliseconds(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value / 1000:.1f} s" if value >= 10_000 else f"{value:.0f} ms"


def usd(value: float) -> str:
    """Two digits after the point, or the first two that are not 0."""
    return f"${value:.2f}" if value >= 0.1 or value == 0 else f"${value:.2g}"


def strip(ratio: float, interval: Mapping[str, float], required: float | None = None) -> str:
    """An interval of a share from 0 to 1: the measured point, how sure it is, and what was required."""
    low, high = 100 * interval["low"], 100 * interval["high"]
    mark = (
        ""
        if required is None
        else f'<line class="need" x1="{100 * required:.1f}" x2="{100 * required:.1f}" y1="1" y2="13"/>'
    )
    spoken = f"{percent(ratio)}, 95% interval {low:.0f}% to {high:.0f}%"
    return (
        f'<svg class="strip" viewBox="-3 0 106 14" role="img" aria-label="{spoken}">'
        '<line class="rail" x1="0" x2="100" y1="7" y2="7"/>'
        f'<line class="sure" x1="{low:.1f}" x2="{max(high, low + 0.5):.1f}" y1="7" y2="7"/>{mark}'
        f'<circle class="point" cx="{100 * ratio:.1f}" cy="7" r="3"/></svg>'
    )


def thumbnail(path: Path, alt: str) -> str:
    """The picture inside the page, scaled down to THUMBNAIL_PX, never up."""
    with Image.open(path) as image:
        width, height = image.size
        image.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
        buffer = io.BytesIO()
        image.convert("RGBA" if "A" in image.getbands() or "transparency" in image.info else "RGB").save(
            buffer, "WEBP", quality=82, method=4
        )
        shown = image.size
    data = base64.b64encode(buffer.getvalue()).decode()
    size = f'width="{shown[0]}" height="{shown[1]}" title="{width}x{height}"'
    return f'<img src="data:image/webp;base64,{data}" {size} alt="{escape(alt)}">'


def table(caption: str, heads: list[str], rows: list[str]) -> str:
    """`heads` and `rows` are HTML: rows hold their own cells."""
    head = "".join(f'<th scope="col">{each}</th>' for each in heads)
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return (
        f'<div class="wide"><table><caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def plural(count: int, word: str, several: str | None = None) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {several or word + 's'}"


Document = Mapping[str, Any]

"""Charts as inline SVG. Knows nothing of what the numbers mean.

The page's style sheet colours series by class (`s0` to `s7`), and its script shows values under the
pointer from the data each chart carries.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

WIDTH, HEIGHT = 640, 280
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 14, 12, 40
SERIES_COLOURS = 8

Point = tuple[float, float | None]


@dataclass(frozen=True, slots=True)
class Series:
    """`points` are (x, y) by ascending x; None for y leaves a gap. `dashed` marks what is compared to."""

    name: str
    points: Sequence[Point]
    colour: int = 0
    dashed: bool = False
    stepped: bool = False
    dots: bool = False
    """Points by themselves, without a line."""


@dataclass(frozen=True, slots=True)
class Scale:
    """Values to pixels, linear or logarithmic."""

    low: float
    high: float
    start_px: float
    end_px: float
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        low, high = self._map(self.low), self._map(self.high)
        share = (self._map(value) - low) / (high - low) if high > low else 0.0
        return self.start_px + min(1.0, max(0.0, share)) * (self.end_px - self.start_px)

    def ticks(self) -> list[float]:
        if not self.logarithmic:
            return linear_ticks(self.low, self.high)
        first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        steps = (1, 2, 5) if last - first <= 3 else (1,)
        ticks = [step * 10.0**power for power in range(first, last + 1) for step in steps]
        return [tick for tick in ticks if self.low * 0.999 <= tick <= self.high * 1.001]

    def _map(self, value: float) -> float:
        return math.log10(max(value, 1e-9)) if self.logarithmic else value


def linear_ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers that cut a range into `about` pieces."""
    if not high > low:
        return [low]
    raw = (high - low) / about
    magnitude = 10.0 ** math.floor(math.log10(raw))
    step = next(factor for factor in (1, 2, 2.5, 5, 10) if raw <= factor * magnitude * 1.0001) * magnitude
    first = math.ceil(low / step - 1e-9)
    return [round(index * step, 12) for index in range(first, math.floor(high / step + 1e-9) + 1)]


def line_chart(
    series: Sequence[Series],
    *,
    x_label: str,
    y_label: str,
    x_logarithmic: bool = False,
    y_max: float | None = None,
    marks: Sequence[tuple[float, str]] = (),
    legend_inside: bool = False,
) -> str:
    """Lines over a common x. `marks` are vertical lines at an x, with a word beside each."""
    xs = [x for each in series for x, y in each.points if y is not None]
    ys = [y for each in series for _, y in each.points if y is not None]
    if not xs:
        return _empty()
    x = _x_scale([*xs, *(at for at, _ in marks)], x_logarithmic)
    y = _y_scale(ys, y_max)
    lines = [
        f'<path class="line s{each.colour % SERIES_COLOURS}{_manner(each)}" d="{path}"/>'
        for each in series
        if (path := _path(each, x, y))
    ]
    content = [*_marks(marks, x), *lines, *(_legend_inside(series) if legend_inside else ())]
    return _svg(x, y, x_label, y_label, content, series) + _legend(series)


def stacked_chart(series: Sequence[Series], *, x_label: str, y_label: str, bin_width: float) -> str:
    """Bars of `bin_width` on the x axis, one series on top of the other. All share the same x values."""
    if not series or not series[0].points:
        return _empty()
    starts = [x for x, _ in series[0].points]
    totals = [sum(each.points[index][1] or 0.0 for each in series) for index in range(len(starts))]
    x = _x_scale([min(starts), max(starts) + bin_width], False)
    y = _y_scale(totals)
    bars: list[str] = []
    floors = [0.0] * len(starts)
    for each in series:
        for index, (start, value) in enumerate(each.points):
            if value:
                bars.append(_bar(x, y, start, bin_width, floors[index], value, each.colour))
                floors[index] += value
    return _svg(x, y, x_label, y_label, bars, series) + _legend(series)


def svg_file(charts: Sequence[str], style: str) -> str:
    """Charts one below the other as a picture of its own, with the page's style sheet inside it."""
    height = HEIGHT * len(charts)
    drawn = [
        f'<g transform="translate(0 {HEIGHT * index})">'
        f"{chart[chart.index('>') + 1 : chart.index('</svg>')]}</g>"
        for index, chart in enumerate(charts)
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'height="{height}" font-family="sans-serif"><style>{style}</style>'
        f'<rect width="{WIDTH}" height="{height}" style="fill: var(--paper)"/>{"".join(drawn)}</svg>\n'
    )


def _manner(series: Series) -> str:
    return " dots" if series.dots else " dashed" if series.dashed else ""


def _y_scale(ys: Sequence[float], y_max: float | None = None) -> Scale:
    highest = max(ys)
    # All but zero is drawn as zero, on a scale of 1.
    high = highest * 1.06 if highest > 1e-9 else 1.0
    return Scale(0, high if y_max is None else y_max, HEIGHT - _BOTTOM, _TOP)


def _x_scale(xs: Sequence[float], logarithmic: bool) -> Scale:
    low, high = min(xs), max(xs)
    if logarithmic:
        low = max(low, 1e-3)
        high = max(high, low * 1.01)
    elif high - low < 1e-9:
        high = low + 1
    return Scale(low, high, _LEFT, WIDTH - _RIGHT, logarithmic)


def _path(series: Series, x: Scale, y: Scale) -> str:
    pieces: list[str] = []
    previous_px: float | None = None
    for at, value in series.points:
        if value is None:
            previous_px = None
            continue
        px, py = x(at), y(value)
        if previous_px is None or series.dots:
            pieces.append(f"M{px:.1f} {py:.1f}")
        elif series.stepped:
            pieces.append(f"H{px:.1f}V{py:.1f}")
        else:
            pieces.append(f"L{px:.1f} {py:.1f}")
        previous_px = px
    # A lone point has no length: draw it as a dot of the line's width.
    return "".join(f"{piece}h0" if piece[0] == "M" else piece for piece in pieces)


def _bar(x: Scale, y: Scale, start: float, width: float, floor: float, value: float, colour: int) -> str:
    left, right = x(start), x(start + width)
    top, bottom = y(floor + value), y(floor)
    return (
        f'<rect class="bar s{colour % SERIES_COLOURS}" x="{left:.1f}" y="{top:.1f}" '
        f'width="{max(0.5, right - left - 0.4):.1f}" height="{max(0.0, bottom - top):.1f}"/>'
    )


def _marks(marks: Sequence[tuple[float, str]], x: Scale) -> list[str]:
    return [
        f'<line class="mark" x1="{x(at):.1f}" x2="{x(at):.1f}" y1="{_TOP}" y2="{HEIGHT - _BOTTOM}"/>'
        f'<text class="marktext" x="{x(at) + 4:.1f}" y="{_TOP + 10}">{escape(word)}</text>'
        for at, word in marks
    ]


def _svg(
    x: Scale, y: Scale, x_label: str, y_label: str, content: Sequence[str], series: Sequence[Series]
) -> str:
    grid = [
        f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>'
        f'<text x="{_LEFT - 6}" y="{y(tick) + 4:.1f}" text-anchor="end">{_short(tick)}</text>'
        for tick in y.ticks()
    ]
    below = [
        f'<text x="{x(tick):.1f}" y="{HEIGHT - _BOTTOM + 16}" text-anchor="middle">{_short(tick)}</text>'
        for tick in _spread(x)
    ]
    middle_y = (_TOP + HEIGHT - _BOTTOM) / 2
    labels = [
        f'<text class="axis" x="{(_LEFT + WIDTH - _RIGHT) / 2}" y="{HEIGHT - 6}" text-anchor="middle">'
        f"{escape(x_label)}</text>",
        f'<text class="axis" transform="translate(14 {middle_y}) rotate(-90)" text-anchor="middle">'
        f"{escape(y_label)}</text>",
    ]
    data = {
        "left": _LEFT,
        "right": WIDTH - _RIGHT,
        "low": x.low,
        "high": x.high,
        "log": x.logarithmic,
        "x": x_label,
        "series": [
            [each.name, [[round(at, 4), None if v is None else round(v, 4)] for at, v in each.points]]
            for each in series
        ],
    }
    # "</" would end the script element that the data stands in.
    text = json.dumps(data, separators=(",", ":")).replace("</", "<\\/")
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(y_label)} by {escape(x_label)}">'
        f"{''.join(grid)}{''.join(below)}{''.join(content)}{''.join(labels)}"
        f'<line class="pointer" y1="{_TOP}" y2="{HEIGHT - _BOTTOM}" x1="0" x2="0"/></svg>'
        f'<script type="application/json">{text}</script>'
    )


def _spread(x: Scale, least_px: float = 34) -> list[float]:
    """The ticks that leave room for their labels."""
    kept = x.ticks()
    while len(kept) > 2 and min(abs(x(b) - x(a)) for a, b in pairwise(kept)) < least_px:
        kept = kept[::2]
    return kept


def _legend(series: Sequence[Series]) -> str:
    items = "".join(
        f'<span class="key"><i class="s{each.colour % SERIES_COLOURS}{" dashed" if each.dashed else ""}"></i>'
        f"{escape(each.name)}</span>"
        for each in series
    )
    return f'<div class="legend">{items}</div>'


def _legend_inside(series: Sequence[Series]) -> list[str]:
    """For a picture that no page stands around."""
    rows = []
    for index, each in enumerate(series):
        y = _TOP + 8 + 15 * index
        dashed = " dashed" if each.dashed else ""
        rows.append(
            f'<path class="line s{each.colour % SERIES_COLOURS}{dashed}" d="M{_LEFT + 8} {y}h22"/>'
            f'<text x="{_LEFT + 36}" y="{y + 4}">{escape(each.name)}</text>'
        )
    return rows


def _short(value: float) -> str:
    if abs(value) >= 10_000:
        return f"{value / 1000:g}k"
    return f"{value:g}"


def _empty() -> str:
    return '<p class="empty">Nothing was measured.</p>'

"""The HTML page: a run's summary as tiles, charts and tables, beside a baseline run if there is one."""

import time
from collections.abc import Mapping, Sequence
from html import escape
from importlib import resources
from typing import Any

from loadtests.histogram import Histogram
from loadtests.report.chart import SERIES_COLOURS, Point, Series, line_chart, stacked_chart
from loadtests.report.compare import compare
from loadtests.report.tables import comparison_table, group_table, milliseconds, percent, slowest_table

Summary = Mapping[str, Any]


def report_page(summary: Summary, baseline: Summary | None = None) -> str:
    """One document with its style and script inside: it opens from a disk, and asks no network."""
    run = summary["run"]
    sections = [_header(summary), _tiles(summary), _objectives(summary), _charts(summary, baseline)]
    if baseline is not None:
        sections.append(comparison_table(compare(baseline, summary), baseline))
    sections += [group_table(summary), slowest_table(summary), _footer(summary)]
    return document(str(run["name"]), "".join(sections))


def document(title: str, body: str) -> str:
    """A page with its style and script inside."""
    files = resources.files("loadtests.report")
    style = (files / "page.css").read_text()
    script = (files / "page.js").read_text()
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="icon" href="data:,">'
        f'<style>{style}</style></head><body><main>{body}</main><div id="tip"></div>'
        f"<script>{script}</script></body></html>\n"
    )


def _header(summary: Summary) -> str:
    run = summary["run"]
    when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(run["started_unix_s"]))
    total = summary["total"]
    return (
        f"<header><h1>{escape(run['name'])}</h1><p>{escape(run['target'])} · {when} · "
        f"{total['offered']} arrivals in {run['schedule_s']:g} s · seed {run['seed']}</p></header>"
    )


def _tiles(summary: Summary) -> str:
    total = summary["total"]
    tiles = [
        ("p50", milliseconds(total["p50_ms"]), ""),
        ("p95", milliseconds(total["p95_ms"]), ""),
        ("p99", milliseconds(total["p99_ms"]), ""),
        ("goodput in budget", percent(total["goodput_ratio"]), _mood(total["goodput_ratio"], 0.99, 0.95)),
        ("failed", percent(total["error_ratio"]), _mood(1 - (total["error_ratio"] or 0), 0.99, 0.95)),
        ("substituted", str(total["substituted"]), ""),
        ("dropped arrivals", str(total["dropped"]), "bad" if total["dropped"] else ""),
    ]
    cells = "".join(
        f'<div class="tile {mood}"><b>{escape(value)}</b><span>{escape(name)}</span></div>'
        for name, value, mood in tiles
    )
    return f'<section class="tiles">{cells}</section>'


def _objectives(summary: Summary) -> str:
    if not summary["objectives"]:
        return ""
    items = "".join(
        f'<li class="{"met" if each["met"] else "missed"}">{escape(each["objective"])}'
        f"<small>{_measured(each['measured'])}</small></li>"
        for each in summary["objectives"]
    )
    return f'<ul class="objectives">{items}</ul>'


def _measured(value: float | None) -> str:
    return "nothing measured" if value is None else f"{value:.6g}"


def _charts(summary: Summary, baseline: Summary | None) -> str:
    figures = [
        ("Latency over time", _latency_over_time(summary)),
        ("Latency distribution", _distribution(summary, baseline)),
        ("Outcomes over time", _outcomes(summary)),
        ("Inside the budget", _attainment(summary, baseline)),
    ]
    if summary.get("replicas"):
        figures.append(("Replicas over time", _replicas(summary, baseline)))
    return (
        '<section class="charts">'
        + "".join(f"<figure><figcaption>{escape(title)}</figcaption>{svg}</figure>" for title, svg in figures)
        + "</section>"
        + _missing(summary)
    )


def _missing(summary: Summary) -> str:
    reason = summary.get("replicas_missing")
    return f'<p class="missing">Replicas over time are not known: {escape(reason)}.</p>' if reason else ""


def _bins(summary: Summary, value: str) -> list[Point]:
    timeline = summary["timeline"]
    return [(each["at_s"] + timeline["bin_s"] / 2, each[value]) for each in timeline["bins"]]


def _latency_over_time(summary: Summary) -> str:
    names = (("p50", "p50_ms", 0), ("p95", "p95_ms", 1), ("slowest", "max_ms", 2))
    series = [Series(name, _bins(summary, key), colour) for name, key, colour in names]
    return line_chart(series, x_label="s since the start, when the call was due", y_label="ms")


def _distribution(summary: Summary, baseline: Summary | None) -> str:
    runs = [("this run", summary, 0, False)]
    if baseline is not None:
        runs.append(("baseline", baseline, 7, True))
    series = [
        Series(name, _cumulative(each["total"]["latency"]), colour, dashed)
        for name, each, colour, dashed in runs
    ]
    marks = [
        (summary["total"][key], key.removesuffix("_ms"))
        for key in ("p50_ms", "p99_ms")
        if summary["total"][key] is not None
    ]
    return line_chart(
        series, x_label="ms", y_label="% of answers", x_logarithmic=True, y_max=100, marks=marks
    )


def _cumulative(latency: Mapping[str, Any], about: int = 400) -> list[Point]:
    points = Histogram.from_json(latency).cumulative()
    kept = points[:: max(1, len(points) // about)]
    if points and kept[-1] != points[-1]:
        kept.append(points[-1])
    start: list[Point] = [(points[0][0], 0.0)] if points else []
    return start + [(value_ms, share * 100) for value_ms, share in kept]


def _outcomes(summary: Summary) -> str:
    timeline = summary["timeline"]
    # Success comes first, and so keeps its colour, however rare it was.
    names = ["ok", *(name for name in summary["total"]["outcomes"] if name != "ok")]
    series = [
        Series(
            name,
            [(each["at_s"], each["outcomes"].get(name, 0) / timeline["bin_s"]) for each in timeline["bins"]],
            1 + (index - 1) % (SERIES_COLOURS - 1) if index else 0,
        )
        for index, name in enumerate(names)
    ]
    return stacked_chart(series, x_label="s", y_label="arrivals per s", bin_width=timeline["bin_s"])


def _attainment(summary: Summary, baseline: Summary | None) -> str:
    series = [Series("this run", _good_percent(summary), 0)]
    if baseline is not None:
        series.append(Series("baseline", _good_percent(baseline), 7, dashed=True))
    return line_chart(series, x_label="s", y_label="% of arrivals", y_max=100)


def _good_percent(summary: Summary) -> list[Point]:
    timeline = summary["timeline"]
    return [
        (
            each["at_s"] + timeline["bin_s"] / 2,
            100 * each["good"] / each["offered"] if each["offered"] else None,
        )
        for each in timeline["bins"]
    ]


def _replicas(summary: Summary, baseline: Summary | None) -> str:
    """The baseline's beside this run's, where both are known."""
    run, before = summary["replicas"], (baseline or {}).get("replicas") or {}
    colours = {name: index for index, name in enumerate(sorted({*run, *before}))}
    series = [_counts(name, run[name], colours[name], summary) for name in sorted(run)]
    if baseline is not None:
        series += [
            _counts(f"{name}, baseline", before[name], colours[name], baseline, dashed=True)
            for name in sorted(before)
        ]
    return line_chart(series, x_label="s", y_label="replicas")


def _counts(
    name: str, points: Sequence[Sequence[float]], colour: int, summary: Summary, dashed: bool = False
) -> Series:
    """Points stand where the number changed: the last holds to the end."""
    counts: list[Point] = [(at_s, count) for at_s, count in points]
    end_s = max(summary["run"]["schedule_s"], counts[-1][0])
    return Series(name, [*counts, (end_s, counts[-1][1])], colour, dashed, stepped=True)


def _footer(summary: Summary) -> str:
    generator, images = summary["generator"], summary["images"]
    return (
        "<footer><p>Latency counts from when a call was due, not from when it was sent. Percentiles are of "
        "answers with an image; goodput is of all arrivals. "
        f"The generator sent {generator['late']} calls more than 10 ms late "
        f"(p99 {milliseconds(generator['late_p99_ms'])}) and dropped {generator['dropped']}. "
        f"Images checked: {images['checked']}; undecodable {images['undecodable']}, wrong size "
        f"{images['wrong_size']}, unequal for equal seeds {images['unequal']}.</p></footer>"
    )


def _mood(ratio: float | None, good: float, fair: float) -> str:
    if ratio is None:
        return ""
    return "good" if ratio >= good else "fair" if ratio >= fair else "bad"

"""The page's tables, and how numbers are written in it."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from loadtests.report.compare import Change

Summary = Mapping[str, Any]


def comparison_table(changes: Sequence[Change], baseline: Summary) -> str:
    rows = [
        f"<th>{escape(change.name)}</th><td>{_plain(change.before)}</td><td>{_plain(change.after)}</td>"
        f'<td class="{change.verdict}">{escape(change.text)}</td>'
        for change in changes
    ]
    return table(f"Against {baseline['run']['name']}", ("", "baseline", "this run", "change"), rows)


def group_table(summary: Summary) -> str:
    groups = [("all", summary["total"]), *sorted(summary["by_shot"].items())]
    groups += [(f"route {name}", group) for name, group in sorted(summary["by_route"].items())]
    latencies, counted = ("p50", "p95", "p99", "max"), ("rungs", "models", "failures")
    heads = ("", "offered", "ok", *latencies, "goodput", "substituted", *counted)
    return table("By kind and route", heads, [_group_row(name, group) for name, group in groups])


def slowest_table(summary: Summary, count: int = 10) -> str:
    rows = [
        f"<td>{milliseconds(each['latency_ms'])}</td><td>{each['at_s']:.2f} s</td>"
        f"<td>{escape(each['shot'])}</td><td>{escape(each['code'])}</td>"
        f"<td>{escape(each['model'] or '–')}</td><td><code>{escape(each['trace_id'] or '–')}</code></td>"
        for each in summary["slowest"][:count]
    ]
    heads = ("latency", "due at", "kind", "outcome", "model", "trace")
    return table("Slowest calls", heads, rows) if rows else ""


def milliseconds(value: float | None) -> str:
    if value is None:
        return "–"
    if value >= 10_000:
        return f"{value / 1000:.1f} s"
    return f"{value:.0f} ms" if value >= 100 else f"{value:.1f} ms"


def percent(ratio: float | None) -> str:
    return "–" if ratio is None else f"{100 * ratio:.1f}%"


def table(title: str, heads: Iterable[str], rows: Iterable[str]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    table = f"<table><tr>{head}</tr>{body}</table>"
    return f'<section><h2>{escape(title)}</h2><div class="wide">{table}</div></section>'


def _group_row(name: str, group: Mapping[str, Any]) -> str:
    failures = {code: count for code, count in group["outcomes"].items() if code != "ok"}
    latencies = "".join(
        f"<td>{milliseconds(group[metric])}</td>" for metric in ("p50_ms", "p95_ms", "p99_ms", "max_ms")
    )
    return (
        f"<th>{escape(name)}</th><td>{group['offered']}</td><td>{group['ok']}</td>{latencies}"
        f"<td>{percent(group['goodput_ratio'])}</td><td>{group['substituted']}</td>"
        f"<td>{_counts(group['rungs'])}</td><td>{_counts(group['models'])}</td><td>{_counts(failures)}</td>"
    )


def _counts(counts: Mapping[str, int]) -> str:
    return escape(", ".join(f"{name} {count}" for name, count in counts.items())) or "–"


def _plain(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"

"""Shows a run in a terminal: live while it goes on, and its summary at the end."""

from typing import Any

from rich.box import SIMPLE
from rich.console import Group as Stack
from rich.console import RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from loadtests.tally import Group


def live_view(total: Group, elapsed_s: float, schedule_s: float, expected: int | None) -> RenderableType:
    line = Table.grid(padding=(0, 1))
    line.add_row(
        f"{min(elapsed_s, schedule_s):.0f}/{schedule_s:.0f} s",
        f"{total.offered}{f'/{expected}' if expected else ''} calls",
        f"p50 {_ms(total.latency.quantile_ms(0.5))}",
        f"p99 {_ms(total.latency.quantile_ms(0.99))}",
        f"goodput {_percent(total.goodput_ratio)}",
        _failures_text(total.offered - total.ok),
    )
    return Stack(ProgressBar(total=max(schedule_s, 1e-9), completed=min(elapsed_s, schedule_s)), line)


def summary_view(summary: dict[str, Any]) -> RenderableType:
    parts: list[RenderableType] = [_latencies(summary), _outcomes(summary["total"])]
    generator = summary["generator"]
    if generator["dropped"] or generator["late"]:
        parts.append(
            Text(
                f"The generator sent {generator['late']} calls late (p99 {_ms(generator['late_p99_ms'])}), "
                f"and dropped {generator['dropped']}; latencies count from when each call was due.",
                style="yellow",
            )
        )
    if (images := summary["images"])["checked"]:
        parts.append(_images(images))
    if summary["objectives"]:
        parts.append(_objectives(summary["objectives"]))
    return Stack(*parts)


def _latencies(summary: dict[str, Any]) -> Table:
    run = summary["run"]
    title = f"{run['name']}: {run['target']}, {run['schedule_s']:g} s; latencies in ms"
    table = Table(title=title, title_justify="left", box=SIMPLE, padding=(0, 1, 0, 0))
    table.add_column("", overflow="fold")
    for heading in ("offered", "per s", "ok", "p50", "p95", "p99", "max", "goodput", "subst."):
        table.add_column(heading, justify="right", no_wrap=True)
    rows = {"all": summary["total"]}
    if len(summary["by_shot"]) > 1:
        rows |= summary["by_shot"]
    rows |= {f"route {name}": group for name, group in summary["by_route"].items() if name != "(none)"}
    for name, group in rows.items():
        table.add_row(
            name,
            str(group["offered"]),
            f"{group['offered_rps'] or 0:.2f}",
            str(group["ok"]),
            *(_number(group[metric]) for metric in ("p50_ms", "p95_ms", "p99_ms", "max_ms")),
            _percent(group["goodput_ratio"]),
            str(group["substituted"]),
        )
    return table


def _outcomes(total: dict[str, Any]) -> Text:
    listed = ", ".join(f"{code} {count}" for code, count in total["outcomes"].items())
    return Text(f"Outcomes: {listed or 'none'}. Dropped arrivals: {total['dropped']}.")


def _images(images: dict[str, int]) -> Text:
    wrong = {key: images[key] for key in ("undecodable", "wrong_size", "unequal") if images[key]}
    if not wrong:
        return Text(f"Images checked: {images['checked']}, all valid.")
    listed = ", ".join(f"{key.replace('_', ' ')} {count}" for key, count in wrong.items())
    return Text(f"Images checked: {images['checked']}; {listed}.", style="red")


def _objectives(objectives: list[dict[str, Any]]) -> Text:
    text = Text()
    for each in objectives:
        word, style = ("met   ", "green") if each["met"] else ("missed", "bold red")
        measured = "nothing measured" if each["measured"] is None else f"measured {each['measured']:.6g}"
        text.append(word, style=style).append(f"  {each['objective']}  ({measured})\n")
    text.rstrip()
    return text


def _failures_text(count: int) -> Text:
    return Text(f"failed {count}", style="red" if count else "dim")


def _ms(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value / 1000:.2f} s" if value >= 10_000 else f"{value:.1f} ms"


def _number(value_ms: float | None) -> str:
    if value_ms is None:
        return "–"
    return f"{value_ms:.1f}" if value_ms < 1000 else f"{value_ms:.0f}"


def _percent(ratio: float | None) -> str:
    return "–" if ratio is None else f"{ratio:.1%}"

"""Pages of what simulations answered: how to scale a model, and how many GPUs a load needs."""

from collections.abc import Callable, Sequence
from html import escape

from loadtests.report.chart import Series, line_chart
from loadtests.report.page import document
from loadtests.report.tables import milliseconds, table
from loadtests.sizing import Answer, Probe
from loadtests.tuner import Settings, Trial, Tuning


def tuning_page(model: str, found: Tuning, judged: Sequence[tuple[str, Trial, Trial]], why: str) -> str:
    """`judged` are rows: a name, what it gave where it was tuned, and on traffic not seen."""
    head = f"<header><h1>How {escape(model)} should scale</h1><p>{escape(why)}</p></header>"
    heads = ("", "violations", "GPU hours", "violations, unseen", "GPU hours, unseen", "settings")
    rows = [
        f"<th>{escape(name)}</th><td>{share(tuned)}</td><td>{tuned.gpu_s / 3600:.1f}</td>"
        f"<td>{share(unseen)}</td><td>{unseen.gpu_s / 3600:.1f}</td>"
        f"<td><code>{escape(described(tuned.settings))}</code></td>"
        for name, tuned, unseen in judged
    ]
    return document(
        f"How {model} should scale",
        head
        + _charts([("What was tried", _front(found)), ("On traffic not seen", _unseen(judged))])
        + table("Settings", heads, rows),
    )


def described(settings: Settings) -> str:
    scaling = settings.autoscaling
    words = [
        f"{scaling.min_replicas}-{scaling.max_replicas} replicas",
        f"up after {scaling.upscale_delay_s:.0f} s, down after {scaling.downscale_delay_s:.0f} s",
    ]
    if scaling.downscale_to_zero_delay_s is not None and not scaling.min_replicas:
        words.append(f"to zero after {scaling.downscale_to_zero_delay_s:.0f} s")
    work = settings.work_scaling
    if work is None:
        words.append(f"{scaling.target_ongoing_requests:.2g} requests a replica")
    else:
        words.append(f"{work.target_work_s:.2g} s of work a replica, {work.warm_spares} spares")
    return ", ".join(words)


def share(trial: Trial) -> str:
    spread = f" ± {trial.spread:.2%}" if trial.spread else ""
    return f"{trial.violation_ratio:.2%}{spread}"


def _front(found: Tuning) -> str:
    def points(trials: Sequence[Trial]) -> list[tuple[float, float | None]]:
        ordered = sorted(trials, key=lambda trial: trial.gpu_s)
        return [(trial.gpu_s / 3600, 100 * trial.violation_ratio) for trial in ordered]

    series = [
        Series("tried", points(found.trials), 7, dots=True),
        Series("not beaten in both", points(found.front), 0),
        Series("as it is", points([found.baseline]), 2, dots=True),
        Series("recommended", points([found.recommended]), 4, dots=True),
    ]
    return line_chart(series, x_label="GPU hours", y_label="% of requests outside their budget")


def _unseen(judged: Sequence[tuple[str, Trial, Trial]]) -> str:
    series = [
        Series(name, [(unseen.gpu_s / 3600, 100 * unseen.violation_ratio)], index, dots=True)
        for index, (name, _, unseen) in enumerate(judged)
    ]
    return line_chart(series, x_label="GPU hours", y_label="% of requests outside their budget")


CAPACITY_HEADS = ("kind", "load", "GPUs", "violations", "p50", "p99", "GPU time used", "USD per hour")


def capacity_cells(probe: Probe) -> list[str]:
    return [
        probe.kind.name,
        f"{probe.load:g}x",
        str(probe.gpus),
        f"{probe.violation_ratio:.2%}",
        milliseconds(probe.p50_ms),
        milliseconds(probe.p99_ms),
        f"{probe.used_ratio:.0%}",
        f"{probe.usd_per_hour:.2f}" if probe.kind.usd_per_gpu_hour else "–",
    ]


def capacity_page(name: str, answers: Sequence[Answer], promise: str) -> str:
    head = f"<header><h1>GPUs for {escape(name)}</h1><p>{escape(promise)}</p></header>"
    found = [probe for each in answers for probe in ([each.enough] if each.enough else []) + [*each.more]]
    charts = [
        ("p99 by GPUs", _by_gpus(answers, lambda probe: probe.p99_ms, "p99 ms")),
        ("Broken promises", _by_gpus(answers, lambda probe: 100 * probe.violation_ratio, "% of requests")),
    ]
    tried = [probe for each in answers for probe in each.probes]
    return document(
        f"GPUs for {name}",
        head
        + table("Enough, and with more load", CAPACITY_HEADS, map(_row, found))
        + _charts(charts)
        + table("All that was simulated", CAPACITY_HEADS, map(_row, tried)),
    )


def _by_gpus(answers: Sequence[Answer], value: Callable[[Probe], float | None], y_label: str) -> str:
    series = []
    for index, each in enumerate(answers):
        series.append(Series(each.kind.name, [(probe.gpus, value(probe)) for probe in each.probes], index))
        for probe in each.more:
            label = f"{each.kind.name}, {probe.load:g}x the load"
            series.append(Series(label, [(probe.gpus, value(probe))], index, dots=True))
    return line_chart(series, x_label="GPUs", y_label=y_label)


def _row(probe: Probe) -> str:
    first, *rest = capacity_cells(probe)
    return f"<th>{escape(first)}</th>" + "".join(f"<td>{escape(cell)}</td>" for cell in rest)


def _charts(charts: Sequence[tuple[str, str]]) -> str:
    figures = "".join(
        f"<figure><figcaption>{escape(title)}</figcaption>{svg}</figure>" for title, svg in charts
    )
    return f'<section class="charts">{figures}</section>'

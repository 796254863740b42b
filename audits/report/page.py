"""The HTML page of an audit: what to do, then per asset type the numbers, the costs and the pictures,
worst first."""

import json
import time
from collections.abc import Mapping
from html import escape
from importlib import resources
from pathlib import Path

from audits.recommend.choosing import Choice
from audits.recommend.contenders import choice_of
from audits.report.figures import Document, milliseconds, percent, plural, strip, table, thumbnail, usd
from audits.report.sheet import contact_sheet
from loadtests.report.chart import Series, line_chart

_CURVE_POINTS = 25


def report_page(summary: Document, pictures: Mapping[str, Path]) -> str:
    """One document with its style, script and pictures inside. `pictures` are files by sample."""
    choices = {each["name"]: choice_of(each) for each in summary["assets"]}
    parts = [
        _header(summary),
        _verdicts(summary, choices, pictures),
        *(_asset(summary, each, choices[each["name"]], pictures) for each in summary["assets"]),
        _agreement(summary),
        _production(summary),
        _method(summary),
        _receipts(summary),
    ]
    return _document(str(summary["audit"]["name"]), "".join(parts))


def _document(title: str, body: str) -> str:
    shared, own = resources.files("loadtests.report"), resources.files("audits.report")
    style = (shared / "page.css").read_text() + (own / "page.css").read_text()
    script = (shared / "page.js").read_text()
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><link rel="icon" href="data:,">'
        f'<style>{style}</style></head><body><main>{body}</main><div id="tip"></div>'
        f"<script>{script}</script></body></html>\n"
    )


def _header(summary: Document) -> str:
    audit = summary["audit"]
    when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(audit["started_unix_s"]))
    judged = f" · {plural(audit['judged'], 'picture')} judged by people" if audit["judged"] else ""
    counted = f"{plural(audit['samples'], 'picture')} of {plural(len(summary['assets']), 'asset type')}"
    return (
        f"<header><h1>{escape(audit['name'])}</h1>"
        f"<p>{escape(audit['target'])} · {when} · {counted}{judged}</p></header>"
    )


def _verdicts(summary: Document, choices: Mapping[str, Choice], pictures: Mapping[str, Path]) -> str:
    cards = "".join(_verdict(summary, each, choices[each["name"]], pictures) for each in summary["assets"])
    return f'<section class="verdicts" aria-label="What to do">{cards}</section>'


def _verdict(summary: Document, asset: Document, choice: Choice, pictures: Mapping[str, Path]) -> str:
    """Where nothing passes, what comes nearest."""
    name, promise = asset["name"], choice.promise
    found = min(asset["variants"], key=lambda each: each["fixes"][each["fixes"]["used"]]["ratio"])
    words, title = choice.because, "Nothing passes"
    if promise is None:
        words = f"no variant passed every criterion; {found['name']} comes nearest"
    else:
        found = next(each for each in asset["variants"] if each["name"] == promise.variant)
        title = promise.variant if choice.decided else "No winner shown"
    fixes = found["fixes"][found["fixes"]["used"]]
    facts = (
        f"<dl><div><dt>need a fix</dt><dd>{percent(fixes['ratio'])}</dd></div>"
        f"<div><dt>p95</dt><dd>{milliseconds(found['latency']['p95_ms'])}</dd></div>"
        f"<div><dt>accepted asset</dt><dd>{usd(found['cost_usd'])}</dd></div></dl>"
    )
    return (
        f'<a class="verdict {"none" if promise is None else "some"}" href="#{_anchor(name)}">'
        f'<div class="example">{_example(summary, name, found["name"], pictures)}</div>'
        f'<div class="say"><h2>{escape(name)}</h2><strong>{escape(title)}</strong>'
        f"<p>{escape(_sentence(words))}</p>{facts}</div></a>"
    )


def _sentence(words: str) -> str:
    return words[0].upper() + words[1:] + "."


def _example(summary: Document, asset: str, variant: str, pictures: Mapping[str, Path]) -> str:
    """A picture of it that passed, or any of it."""
    own = [
        each
        for each in summary["samples"]
        if (each["asset"], each["variant"]) == (asset, variant) and each["id"] in pictures
    ]
    own.sort(key=lambda each: bool(each["needs_fix_predicted"]))
    return thumbnail(pictures[own[0]["id"]], own[0]["prompt"]) if own else ""


def _asset(summary: Document, asset: Document, choice: Choice, pictures: Mapping[str, Path]) -> str:
    name = asset["name"]
    samples = [each for each in summary["samples"] if each["asset"] == name]
    promise = choice.promise.variant if choice.promise else None
    variants = [each["name"] for each in asset["variants"]]
    ordered = ([promise] if promise else []) + [each for each in variants if each != promise]
    curve = f"<figcaption>Cost of an accepted asset</figcaption>{_curve(summary, asset)}"
    return (
        f'<section id="{_anchor(name)}"><h2>{escape(name)}</h2>{_criteria(asset, promise)}'
        f'<div class="beside"><figure>{curve}</figure>'
        f"<div>{_comparisons(asset)}{_stand_ins(choice)}</div></div>"
        f"<h3>Pictures, worst first</h3>{contact_sheet(name, ordered, samples, pictures, promise)}</section>"
    )


def _criteria(asset: Document, promise: str | None) -> str:
    """A row for each criterion, a column for each variant: criteria are many."""
    variants = asset["variants"]
    heads = ["", *(_variant_head(each, each["name"] == promise) for each in variants)]
    rows = [
        _row_head(each["name"], each["threshold"])
        + "".join(_passing(one["criteria"][each["name"]], each["required_ratio"]) for one in variants)
        for each in asset["criteria"]
    ]
    rows.append(_row_head("need a fix") + "".join(map(_fix_cell, variants)))
    latencies = [each["latency"] for each in variants]
    rows += [
        _row_head(name) + "".join(f"<td>{milliseconds(each[key])}</td>" for each in latencies)
        for name, key in (("p50", "p50_ms"), ("p95", "p95_ms"))
    ]
    rows += [
        _row_head(name, note) + "".join(f"<td>{usd(each[key])}</td>" for each in variants)
        for name, note, key in (
            ("an accepted asset", "the picture, and staff for its fixes", "cost_usd"),
            ("a picture", "GPU time alone", "image_usd"),
        )
    ]
    return table(f"{asset['name']}: share of pictures that pass, with 95% intervals", heads, rows)


def _variant_head(variant: Document, chosen: bool) -> str:
    chip = ' <span class="chip">chosen</span>' if chosen else ""
    models = escape(" → ".join(variant["models"]) or "–").replace("_", "_<wbr>")
    lost = f"<small>{plural(variant['failed'], 'picture')} did not come</small>" if variant["failed"] else ""
    return f"{escape(variant['name'])}{chip}<small>{models}</small>{lost}"


def _row_head(name: str, note: str = "") -> str:
    return f'<th scope="row">{escape(name)}<small>{escape(note)}</small></th>'


def _passing(found: Document, required: float) -> str:
    mark, kind = ("✓", "met") if found["met"] else ("✗", "missed")
    counted = f"<b>{mark}</b> {found['passed']}/{found['count']}"
    return f'<td class="{kind}">{counted}{strip(found["ratio"], found["interval"], required)}</td>'


def _fix_cell(variant: Document) -> str:
    fixes = variant["fixes"][variant["fixes"]["used"]]
    shown = f"{percent(fixes['ratio'])} <span class='quiet'>{variant['fixes']['used']}</span>"
    return f"<td>{shown}{strip(fixes['ratio'], fixes['interval'])}</td>"


def _curve(summary: Document, asset: Document) -> str:
    rate = summary["audit"]["rates"]["staff_usd_per_hour"]
    top = max(2 * rate, 60.0)
    rates = [top * step / (_CURVE_POINTS - 1) for step in range(_CURVE_POINTS)]
    series = []
    for index, each in enumerate(asset["variants"]):
        fixes = each["fixes"][each["fixes"]["used"]]
        hours = fixes["ratio"] * each["fix_minutes"] / 60
        series.append(Series(each["name"], [(at, each["image_usd"] + hours * at) for at in rates], index))
    return line_chart(series, x_label="staff, USD an hour", y_label="USD", marks=[(rate, "as in the audit")])


def _comparisons(asset: Document) -> str:
    items = []
    for each in asset["comparisons"]:
        if each["difference"] is None:
            continue
        low, high = 100 * each["interval"]["low"], 100 * each["interval"]["high"]
        # Prompts that all say the same leave a bootstrap nothing to draw from.
        spread = f" ({_points(low)} to {_points(high)})" if high > low else ""
        pair = f"{escape(each['one'])} and {escape(each['other'])}"
        words = f"no difference is shown between {pair}"
        if each["better"] is not None:
            worse = each["other"] if each["better"] == each["one"] else each["one"]
            words = f"<b>{escape(each['better'])}</b> needs fewer fixes than {escape(worse)}"
        even = each["break_even_usd_per_hour"]
        cost = f"; they cost the same at {usd(even)} an hour" if even is not None and 1 <= even < 1000 else ""
        items.append(
            f"<li>{words}<small>{_points(100 * each['difference'])} points{spread} over "
            f"{plural(each['prompts'], 'prompt')}, p {each['p_value']:.2g}{cost}</small></li>"
        )
    return f"<h3>Against each other</h3><ul class='plain'>{''.join(items)}</ul>"


def _points(value: float) -> str:
    return f"{value:+.0f}".replace("-", "−")


def _stand_ins(choice: Choice) -> str:
    if choice.promise is None:
        return ""
    ready = [
        f"<li><b>{escape(each.variant)}</b> may stand in</li>" for each in (*choice.rungs, *choice.fallbacks)
    ]
    barred = [f"<li>{escape(name)} may not<small>{escape(why)}</small></li>" for name, why in choice.left_out]
    title = f"When {escape(choice.promise.variant)} cannot answer"
    items = "".join(ready + barred) or "<li>nothing stands in</li>"
    return f"<h3>{title}</h3><ul class='plain'>{items}</ul>"


def _agreement(summary: Document) -> str:
    known = summary["agreement"]
    title = "<h2>Predicted and measured fixes</h2>"
    if not known["count"]:
        words = "Nobody has judged these pictures yet. Fix rates are predicted from the thresholds"
        how = "<code>atelier audit review</code> measures them."
        return f'<section>{title}<p class="quiet">{words}; {how}</p></section>'
    rows = [
        f'<th scope="row">{escape(name)}</th><td>{rate["count"]}</td>'
        f"<td>{percent(rate['ratio'])}{strip(rate['ratio'], rate['interval'])}</td>"
        for name, rate in (
            ("misses a threshold", known["fix_if_failed"]),
            ("passes all", known["fix_if_passed"]),
        )
    ]
    kappa = "" if known["kappa"] is None else f" Cohen's kappa is {known['kappa']:.2f}."
    words = (
        f"Thresholds and people agree on {known['agreeing']} of {plural(known['count'], 'judged picture')} "
        f"({percent(known['ratio'])}).{kappa}"
    )
    shown = table("How often people would fix a picture that", ["", "judged", "would fix"], rows)
    return f"<section>{title}<p>{words}</p>{shown}</section>"


def _production(summary: Document) -> str:
    rows = [
        f'<th scope="row">{escape(each["route"])}<small>{escape(each["arm"] or "")}</small></th>'
        f"<td>{each['count']}</td><td>{percent(each['ratio'])}{strip(each['ratio'], each['interval'])}</td>"
        f"<td>{each['minutes_mean']:.1f} min</td>"
        for each in summary.get("production", ())
    ]
    if not rows:
        return ""
    shown = table("What people did with what was delivered", ["route", "told", "fixed", "a fix took"], rows)
    return f"<section><h2>In production</h2>{shown}</section>"


_METHOD = (
    "Every variant answered the same prompts with the same seeds. A picture needs a fix when what is seen "
    "in it misses a threshold (predicted), or when at least half of those who judged it say so "
    "(measured); where few were judged, what people said of others that passed and failed turns one into "
    "the other (calibrated). Shares that pass have Wilson's 95% intervals at the effective number of "
    "pictures, as those of one prompt are alike; fix rates have Wilson's over pictures, p95 a bootstrap "
    "one. Two variants are told apart over prompts that both answered, by flipping signs at random with "
    "Holm's correction for the pairs of an asset type, at 5%; differences have bootstrap-t intervals. An "
    "accepted asset costs its picture and its share of fixes, at {staff} an hour of staff, {gpu} an hour "
    "of GPU, and {minutes:g} minutes a fix where nobody timed one."
)


def _method(summary: Document) -> str:
    rates = summary["audit"]["rates"]
    versions = "".join(
        f"<div><dt>{escape(name)}</dt><dd><code>{escape(version)}</code></dd></div>"
        for name, version in summary["audit"]["versions"].items()
    )
    words = _METHOD.format(
        staff=usd(rates["staff_usd_per_hour"]),
        gpu=usd(rates["gpu_usd_per_hour"]),
        minutes=rates["fix_minutes"],
    )
    return (
        f"<section><h2>Method and versions</h2><p>{words}</p><dl class='versions'>{versions}</dl></section>"
    )


def _receipts(summary: Document) -> str:
    rows = [
        f"<td><code>{escape(each['id'])}</code></td><td>{milliseconds(each['latency_ms'])}</td>"
        f"<td><code>{escape(json.dumps(each['receipt'], ensure_ascii=False))}</code></td>"
        for each in summary["samples"]
        if each["receipt"] is not None
    ]
    shown = table("What was routed where and why, as answered", ["sample", "latency", "receipt"], rows)
    folded = f'<summary>{plural(len(rows), "receipt")}</summary><div class="receipts">{shown}</div>'
    return f"<section><details>{folded}</details></section>"


def _anchor(name: str) -> str:
    return "asset-" + "".join(each if each.isalnum() else "-" for each in name)

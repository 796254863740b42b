"""How `atelier policy` shows findings, explanations and differences on a terminal."""

import json

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from routing.compare import PolicyDiff
from routing.explain import Explanation, Fate
from routing.policy import Policy
from routing.types import Decision

_ROUTES_SHOWN = 50


def print_finding(as_json: bool, severity: str, place: str, where: str, message: str) -> None:
    if as_json:
        entry = {"severity": severity, "place": place, "where": where, "message": message}
        click.echo(json.dumps(entry, ensure_ascii=False))
        return
    line = Text(f"{place}: ")
    line.append(severity, "bold red" if severity == "error" else "bold yellow")
    line.append(f": {where}: {message}")
    Console().print(line, soft_wrap=True)


def print_explanation(console: Console, explanation: Explanation) -> None:
    marks = {Fate.TAKEN: ("->", "bold green"), Fate.LATE: ("--", "yellow"), Fate.NOT_ASKED: ("--", "yellow")}
    rules = Table("", "route", "written at", "fate", title="Routes", title_justify="left", box=None)
    shown = (
        explanation.fates
        if len(explanation.fates) <= _ROUTES_SHOWN
        else [fate for fate in explanation.fates if fate.fate is not Fate.NO_MATCH][:_ROUTES_SHOWN]
    )
    for fate in shown:
        mark, style = marks.get(fate.fate, ("", "dim"))
        rules.add_row(mark, Text(fate.route), Text(str(fate.place or "")), Text(fate.why), style=style)
    console.print(rules)
    if len(shown) < len(explanation.fates):
        console.print(f"  {len(explanation.fates) - len(shown)} routes that do not match are left out")
    console.print()
    if explanation.decision is None:
        console.print(Text(f"Refused: {explanation.error}", "bold red"), soft_wrap=True)
        return
    _print_decision(console, explanation.decision)


def _print_decision(console: Console, decision: Decision) -> None:
    console.print(Text(decision.reason + ".", "bold"), soft_wrap=True)
    plans = Table("try", "rung", "model", "does", "size", "steps", "wait ms", "total ms", box=None)
    for number, plan in enumerate(decision.chain, start=1):
        for index, stage in enumerate(plan.stages):
            plans.add_row(
                *((str(number), str(plan.rung)) if index == 0 else ("", "")),
                Text(stage.model),
                stage.capability.value,
                f"{stage.width}x{stage.height}",
                "" if stage.steps is None else str(stage.steps),
                f"{stage.wait_ms:.0f}",
                f"{stage.predicted_ms:.0f}",
            )
    if decision.chain:
        console.print(plans)
    if decision.raster is not None:
        words = decision.raster_words
        by = "" if words is None else f", with the request's words set by {words.models[0]}"
        console.print(Text(f"then the baked image {decision.raster}{by}"), soft_wrap=True)
    for rejection in decision.rejected:
        console.print(
            Text(f"out: {' then '.join(rejection.models)}: {rejection.reason}", "yellow"), soft_wrap=True
        )
    if decision.refusal is not None:
        retry = "" if decision.retry_after_s is None else f", retry after {decision.retry_after_s:.0f} s"
        console.print(Text(f"refused at once: {decision.refusal.value}{retry}", "bold red"), soft_wrap=True)


def print_diff(console: Console, old: Policy, new: Policy, diff: PolicyDiff) -> None:
    console.print(f"{old.version} -> {new.version}", highlight=False)
    if diff.empty:
        console.print("no differences in what is written")
    for name in diff.removed:
        console.print(Text(f"- {name}", "red"), soft_wrap=True)
    for name in diff.added:
        console.print(Text(f"+ {name}", "green"), soft_wrap=True)
    for change in diff.changed:
        before, after = change.before or "(not given)", change.after or "(not given)"
        console.print(Text(f"~ {change.path}: {before} -> {after}", "yellow"), soft_wrap=True)
    if diff.reordered:
        console.print(Text("~ the order of routes changed: the first that matches decides", "yellow"))


def verdict(passed: bool, name: str) -> Text:
    return Text.assemble(("ok    ", "green") if passed else ("FAIL  ", "bold red"), name)

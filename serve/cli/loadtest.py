"""`atelier loadtest` and `atelier loadtest-report`: load on a running endpoint, judged by objectives.

Exit status: 0 when every objective is met, 1 when one is missed, 2 for a wrong command line,
130 when interrupted.
"""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from pydantic import ValidationError
from rich.console import Console
from rich.live import Live

from loadtests.arrivals import Spacing
from loadtests.fleet import watched_replicas
from loadtests.report.page import report_page
from loadtests.scenario import Scenario, ScenarioError, load_scenario
from loadtests.session import WorkerDied, run_session
from loadtests.slo import judge
from loadtests.summary import FORMAT, RunFacts, summarize
from loadtests.tally import Group, Tally
from loadtests.target import Target, TargetRefused, parse_target
from loadtests.terminal import live_view, summary_view

_INPUT_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_OUTPUT_FILE = click.Path(dir_okay=False, writable=True, path_type=Path)

# Options that make up a scenario of one shot at a constant rate; a scenario file says all this itself.
_LOAD_OPTIONS = [
    click.option("--rate", type=float, help="Arrivals per second.  [default: 1]"),
    click.option("--duration", type=float, help="Seconds of arrivals.  [default: 30]"),
    click.option("--clients", type=int, help="A closed loop of so many clients instead of a rate."),
    click.option("--spacing", type=click.Choice([each.value for each in Spacing])),
    click.option("--prompt", "prompts", multiple=True, help="May be repeated: taken in turn."),
    click.option("--model", help="Default: the policy decides."),
    click.option("--size", help="WIDTHxHEIGHT."),
    click.option("--n", type=int, help="Images a request."),
    click.option("--asset", help="The asset type that the policy routes by, like ui-badge."),
    click.option("--image-seed", type=int, help="Ask for the same pixels every time."),
    click.option("--max-latency-ms", type=float, help="Latency budget to ask for."),
    click.option("--seed", type=int, help="Of the arrivals.  [default: 0]"),
    click.option("--timeout", "timeout_s", type=float, help="Seconds until a call is given up."),
    click.option("--drain", "drain_s", type=float, help="Seconds to wait for answers at the end."),
    click.option("--max-in-flight", type=int, help="Arrivals beyond are dropped, and counted."),
    click.option("--max-requests", type=int, help="Refuse to run more.  [default: 100000]"),
]


def _load_options(command: Any) -> Any:
    for option in reversed(_LOAD_OPTIONS):
        command = option(command)
    return command


@click.command(name="loadtest")
@click.argument("url", default="http://127.0.0.1:8000")
@click.option("--scenario", "scenario_path", type=_INPUT_FILE, help="A YAML file (docs/loadtests.md).")
@_load_options
@click.option("--processes", type=click.IntRange(1, 64), help="Share the arrivals.  [default: 1]")
@click.option("--slo", "objectives", multiple=True, help="Like p99_ms<=1200; may be repeated.")
@click.option("--json", "json_path", type=_OUTPUT_FILE, help="Write the results here.")
@click.option("--html", "html_path", type=_OUTPUT_FILE, help="Write a report here.")
@click.option("--compare-to", "baseline_path", type=_INPUT_FILE, help="An earlier run's --json file.")
@click.option("--api-key-file", type=_INPUT_FILE)
@click.option("--allow-remote", is_flag=True, help="Permit a target other than this machine.")
def loadtest(
    url: str,
    scenario_path: Path | None,
    processes: int | None,
    objectives: tuple[str, ...],
    json_path: Path | None,
    html_path: Path | None,
    baseline_path: Path | None,
    api_key_file: Path | None,
    allow_remote: bool,
    **load: Any,
) -> None:
    """Put load on URL and report latency, goodput, errors and dropped arrivals.

    Arrivals come when they are due whatever the service does, and latency counts from that moment.
    """
    target = _target(url, allow_remote)
    scenario = _scenario(scenario_path, load, processes, objectives)
    baseline = _read_summary(baseline_path) if baseline_path else None
    headers = _headers(api_key_file)
    try:
        with watched_replicas(target, headers) as watch:
            counted, elapsed_s, started_unix_s = _run(scenario, target, headers)
    except (ScenarioError, WorkerDied) as error:
        raise click.UsageError(str(error)) from None
    interrupted = _is_cut_short(scenario, counted, elapsed_s)
    verdicts = judge(scenario.parsed_objectives(), counted)
    facts = RunFacts(
        target=target.base_url,
        name=scenario.name,
        started_unix_s=started_unix_s,
        schedule_s=elapsed_s if interrupted else scenario.duration_s,
        elapsed_s=elapsed_s,
        seed=scenario.seed,
        processes=scenario.processes,
    )
    summary = summarize(facts, counted, verdicts) | watch.summary(started_unix_s)
    Console().print(summary_view(summary))
    if json_path is not None:
        json_path.write_text(json.dumps(summary, indent=1) + "\n")
    if html_path is not None:
        html_path.write_text(report_page(summary, baseline))
    if interrupted:
        Console(stderr=True).print(f"Interrupted after {elapsed_s:.0f} s: this is what was counted.")
        raise click.exceptions.Exit(130)
    if not all(verdict.met for verdict in verdicts):
        raise click.exceptions.Exit(1)


def _is_cut_short(scenario: Scenario, counted: Tally, elapsed_s: float) -> bool:
    if scenario.closed_loop is not None:
        return elapsed_s < scenario.duration_s and counted.total.offered < scenario.bounds.max_requests
    return counted.total.offered < len(scenario.times())


@click.command(name="loadtest-report")
@click.argument("run", type=_INPUT_FILE)
@click.argument("html", type=_OUTPUT_FILE)
@click.option("--compare-to", "baseline_path", type=_INPUT_FILE, help="An earlier run's --json file.")
def loadtest_report(run: Path, html: Path, baseline_path: Path | None) -> None:
    """Write the report of a saved RUN (--json) to HTML, beside an earlier run if one is given."""
    baseline = _read_summary(baseline_path) if baseline_path else None
    html.write_text(report_page(_read_summary(run), baseline))


def _run(scenario: Scenario, target: Target, headers: dict[str, str]) -> tuple[Tally, float, float]:
    """What was counted, the seconds until the last answer, and when the schedule began."""
    console = Console(stderr=True)
    expected = None if scenario.closed_loop else len(scenario.times())
    started_unix_s = time.time()
    with Live(console=console, auto_refresh=False, transient=True) as live:

        def progress(counted: Group, elapsed_s: float) -> None:
            nonlocal started_unix_s
            started_unix_s = time.time() - elapsed_s
            if console.is_terminal:
                view = live_view(counted, max(0.0, elapsed_s), scenario.duration_s, expected)
                live.update(view, refresh=True)

        counted, elapsed_s = run_session(scenario, target, headers=headers, progress=progress)
    return counted, elapsed_s, started_unix_s


def _scenario(
    path: Path | None, load: Mapping[str, Any], processes: int | None, objectives: tuple[str, ...]
) -> Scenario:
    given = {name: value for name, value in load.items() if value not in (None, ())}
    if path is not None and given:
        listed = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise click.UsageError(f"--scenario says what to send; leave out {listed}")
    try:
        document = load_scenario(path).model_dump() if path else _one_shot(given)
        document["objectives"] = [*document.get("objectives", ()), *objectives]
        if processes is not None:
            document["processes"] = processes
        return Scenario.model_validate(document)
    except ScenarioError as error:
        raise click.UsageError(str(error)) from None
    except ValidationError as error:
        raise click.UsageError("\n".join(map(_option_problem, error.errors()))) from None


def _option_problem(problem: Any) -> str:
    """The last name of a place in the scenario is that of the option behind it."""
    names = [part for part in problem["loc"] if isinstance(part, str)]
    message = problem["msg"].removeprefix("Value error, ")
    return f"{names[-1]}: {message}" if names else message


def _one_shot(given: Mapping[str, Any]) -> dict[str, Any]:
    shot_fields = ("model", "size", "n", "asset", "max_latency_ms")
    bound_fields = ("timeout_s", "drain_s", "max_in_flight", "max_requests")
    name = given.get("asset") or given.get("model") or "request"
    duration_s = given.get("duration", 30.0)
    document: dict[str, Any] = {
        "name": name,
        "shots": [
            {
                "name": name,
                "prompts": given.get("prompts", ("a lighthouse at dusk",)),
                "seeds": [given["image_seed"]] if "image_seed" in given else [],
                **{field: given[field] for field in shot_fields if field in given},
            }
        ],
        "bounds": {field: given[field] for field in bound_fields if field in given},
        **{field: given[field] for field in ("seed", "spacing") if field in given},
    }
    if "clients" in given:
        document["closed_loop"] = {"clients": given["clients"], "duration_s": duration_s}
    if "clients" not in given or "rate" in given:
        constant = {"kind": "constant", "rps": given.get("rate", 1.0), "duration_s": duration_s}
        document["arrivals"] = [constant]
    return document


def _target(url: str, allow_remote: bool) -> Target:
    try:
        return parse_target(url, allow_remote=allow_remote)
    except TargetRefused as error:
        raise click.UsageError(str(error)) from None


def _headers(api_key_file: Path | None) -> dict[str, str]:
    if api_key_file is None:
        return {}
    return {"authorization": f"Bearer {api_key_file.read_text().strip()}"}


def _read_summary(path: Path) -> dict[str, Any]:
    try:
        summary = json.loads(path.read_text())
    except ValueError:
        raise click.UsageError(f"{path}: not JSON") from None
    if not isinstance(summary, dict) or summary.get("format") != FORMAT:
        raise click.UsageError(f"{path}: not a run of this version's `atelier loadtest --json`")
    return summary

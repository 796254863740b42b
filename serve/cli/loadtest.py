"""`atelier loadtest`: open-loop load against a running endpoint, judged by objectives.

Exit status: 0 when every objective is met, 1 when one is missed, 2 for a wrong command line.
"""

import asyncio
import json
import time
from pathlib import Path

import click
from rich.console import Console
from rich.live import Live

from loadtests.arrivals import Spacing, constant, schedule
from loadtests.exchange import open_exchange
from loadtests.runner import Limits, run_open_loop
from loadtests.slo import Objective, SloError, judge, parse_objective
from loadtests.summary import RunFacts, summarize
from loadtests.tally import Tally
from loadtests.target import Target, TargetRefused, parse_target
from loadtests.terminal import live_view, summary_view
from loadtests.workload import Call, Shot, calls

MAX_DURATION_S = 24 * 3600.0
MAX_REQUESTS = 10_000_000
_REFRESH_S = 0.25


class ObjectiveType(click.ParamType[Objective]):
    name = "objective"

    def convert(
        self, value: str | Objective, param: click.Parameter | None, ctx: click.Context | None
    ) -> Objective:
        if isinstance(value, Objective):
            return value
        try:
            return parse_objective(value)
        except SloError as error:
            self.fail(str(error), param, ctx)


@click.command(name="loadtest")
@click.argument("url", default="http://127.0.0.1:8000")
@click.option("--rate", default=1.0, show_default=True, type=click.FloatRange(0, 100_000, min_open=True))
@click.option(
    "--duration",
    default=30.0,
    show_default=True,
    type=click.FloatRange(0, MAX_DURATION_S, min_open=True),
    help="Seconds of arrivals.",
)
@click.option("--max-requests", default=100_000, show_default=True, type=click.IntRange(1, MAX_REQUESTS))
@click.option(
    "--spacing", default="poisson", show_default=True, type=click.Choice([each.value for each in Spacing])
)
@click.option("--prompt", "prompts", multiple=True, help="May be repeated: taken in turn.")
@click.option("--model", help="Default: the policy decides.")
@click.option("--size", help="WIDTHxHEIGHT.")
@click.option("--n", default=1, show_default=True, type=click.IntRange(1, 10), help="Images a request.")
@click.option("--asset", help="The asset type that the policy routes by, like ui-badge.")
@click.option("--image-seed", type=click.IntRange(0), help="Ask for the same pixels every time.")
@click.option(
    "--max-latency-ms", type=click.FloatRange(0, 3_600_000, min_open=True), help="Latency budget asked for."
)
@click.option("--seed", default=0, show_default=True, help="Of the arrivals.")
@click.option(
    "--timeout",
    "timeout_s",
    default=120.0,
    show_default=True,
    type=click.FloatRange(0.001, 3600),
    help="Seconds until a call is given up.",
)
@click.option(
    "--drain",
    "drain_s",
    default=30.0,
    show_default=True,
    type=click.FloatRange(0, 3600),
    help="Seconds to wait for answers after the last arrival.",
)
@click.option(
    "--max-in-flight",
    default=2000,
    show_default=True,
    type=click.IntRange(1, 60_000),
    help="Arrivals beyond are dropped, and counted.",
)
@click.option(
    "--slo",
    "objectives",
    multiple=True,
    type=ObjectiveType(),
    help="Like p99_ms<=1200 or goodput_ratio>=0.99; may be repeated.",
)
@click.option(
    "--json",
    "json_path",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Write the results here.",
)
@click.option("--api-key-file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--allow-remote", is_flag=True, help="Permit a target other than this machine.")
def loadtest(
    url: str,
    rate: float,
    duration: float,
    max_requests: int,
    spacing: str,
    prompts: tuple[str, ...],
    model: str | None,
    size: str | None,
    n: int,
    asset: str | None,
    image_seed: int | None,
    max_latency_ms: float | None,
    seed: int,
    timeout_s: float,
    drain_s: float,
    max_in_flight: int,
    objectives: tuple[Objective, ...],
    json_path: Path | None,
    api_key_file: Path | None,
    allow_remote: bool,
) -> None:
    """Put an open-loop load on URL and report latency, goodput, errors and dropped arrivals.

    Arrivals come at RATE per second whatever the service does, and latency counts from when each was due.
    """
    target = _target(url, allow_remote)
    times = schedule(constant(rate, duration), Spacing(spacing), seed)
    if len(times) > max_requests:
        raise click.UsageError(f"{len(times)} arrivals are more than --max-requests {max_requests}")
    shot = Shot(
        name=asset or model or "request",
        prompts=prompts or ("a lighthouse at dusk",),
        model=model,
        size=size,
        n=n,
        asset=asset,
        seeds=() if image_seed is None else (image_seed,),
        max_latency_ms=max_latency_ms,
    )
    counted = Tally()
    started_unix_s = time.time()
    elapsed_s = asyncio.run(
        _run(
            target,
            list(calls(times, [shot], seed)),
            counted,
            duration,
            timeout_s,
            Limits(max_in_flight, drain_s),
            _headers(api_key_file),
        )
    )
    verdicts = judge(objectives, counted)
    facts = RunFacts(target.base_url, shot.name, started_unix_s, duration, elapsed_s, seed)
    summary = summarize(facts, counted, verdicts)
    Console().print(summary_view(summary))
    if json_path is not None:
        json_path.write_text(json.dumps(summary, indent=1) + "\n")
    if not all(verdict.met for verdict in verdicts):
        raise click.exceptions.Exit(1)


async def _run(
    target: Target,
    due: list[Call],
    counted: Tally,
    schedule_s: float,
    timeout_s: float,
    limits: Limits,
    headers: dict[str, str],
) -> float:
    console = Console(stderr=True)
    loop = asyncio.get_running_loop()
    start = loop.time()

    def view() -> object:
        return live_view(counted, loop.time() - start, schedule_s, len(due))

    async with open_exchange(target, timeout_s=timeout_s, headers=headers) as exchange:
        with Live(console=console, auto_refresh=False, transient=True) as live:
            run = asyncio.create_task(run_open_loop(due, exchange, counted.record, limits))
            while not run.done():
                await asyncio.wait([run], timeout=_REFRESH_S)
                live.update(view(), refresh=console.is_terminal)  # type: ignore[arg-type]
            return await run


def _target(url: str, allow_remote: bool) -> Target:
    try:
        return parse_target(url, allow_remote=allow_remote)
    except TargetRefused as error:
        raise click.UsageError(str(error)) from None


def _headers(api_key_file: Path | None) -> dict[str, str]:
    if api_key_file is None:
        return {}
    return {"authorization": f"Bearer {api_key_file.read_text().strip()}"}

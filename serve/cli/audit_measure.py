"""`atelier audit run`: every candidate asked, every picture measured, against an endpoint or a server of its
own.

Exit status: 0 when the evidence is complete, 1 when the endpoint went away (the same command goes on), 2
for a wrong command line.
"""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click
import yaml
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from audits.evidence import Evidence
from audits.run.asking import EndpointError
from audits.run.plan import CANDIDATE_LABEL
from audits.run.session import Progress as RunProgress
from audits.run.session import run_audit
from audits.run.spec import AuditError, AuditSpec, load_audit
from loadtests.target import TargetRefused, parse_target
from serve.cli.audit_run import FILE

EMBEDDED = "embedded"
F = TypeVar("F", bound=Callable[..., Any])


def endpoint_options(command: F) -> F:
    """Which endpoint is audited, the same for every command that audits."""
    for option in (
        click.option("--allow-remote", is_flag=True, help="Permit a target other than this machine."),
        click.option("--api-key-file", type=FILE),
        click.option("--config", "config_path", type=FILE, help="Start the models of this config here."),
        click.option("--url", help="Of a running endpoint."),
    ):
        command = option(command)
    return command


@click.command(name="run")
@click.argument("audit", type=FILE)
@click.option("--out", "folder", type=click.Path(file_okay=False, path_type=Path), required=True)
@endpoint_options
def run_command(
    audit: Path,
    folder: Path,
    url: str | None,
    config_path: Path | None,
    api_key_file: Path | None,
    allow_remote: bool,
) -> None:
    """Ask every candidate of AUDIT, measure every picture, and write the evidence into a folder.

    Interrupted, the same command goes on where it was. With --config the models run on this machine for as
    long as the audit takes, under a policy that sends each candidate's requests to its stages alone.
    """
    spec = load(audit)
    evidence = measure(spec, folder, url, config_path, api_key_file, allow_remote)
    Console().print(_overview(evidence))
    click.echo(f"{folder}: next, atelier audit report {folder}")


def load(audit: Path) -> AuditSpec:
    try:
        return load_audit(audit)
    except AuditError as error:
        raise click.UsageError(str(error)) from None


def measure(
    spec: AuditSpec,
    folder: Path,
    url: str | None,
    config_path: Path | None,
    api_key_file: Path | None,
    allow_remote: bool,
) -> Evidence:
    """Runs the audit, or the rest of it. Ends the command when the endpoint goes away."""
    if (url is None) == (config_path is None):
        raise click.UsageError("give --url of a running endpoint, or --config to start one for the audit")
    api_key = api_key_file.read_text().strip() if api_key_file else None
    console = Console(stderr=True)
    try:
        if config_path is not None:
            with _embedded(spec, config_path, console) as own_url, _progress(spec, console) as progress:
                return run_audit(spec, folder, own_url, target=EMBEDDED, api_key=api_key, progress=progress)
        assert url is not None
        _check_endpoint_can(spec)
        target = parse_target(url, allow_remote=allow_remote)
        with _progress(spec, console) as progress:
            return run_audit(spec, folder, target.base_url, api_key=api_key, progress=progress)
    except (AuditError, TargetRefused) as error:
        raise click.UsageError(str(error)) from None
    except EndpointError as error:
        raise click.ClickException(f"{error}; run the same command again to go on") from None


def candidates_policy(spec: AuditSpec) -> str:
    """A policy under which each candidate of `stages` is answered by those alone, with no fallback that
    would be measured in its place. Everything else goes to the model that it names."""
    staged = {name: each for name, each in spec.candidates.items() if each.stages is not None}
    routes: list[dict[str, Any]] = [
        {
            "name": name,
            "match": {"labels": {CANDIDATE_LABEL: name}},
            "stages": list(each.stages or ()),
            "max_latency_ms": spec.budget_ms,
        }
        for name, each in staged.items()
    ]
    named = [each.model for each in spec.candidates.values() if each.model is not None]
    document: dict[str, Any] = {"model_routing": routes}
    if named:
        document["default"] = {"model": named[0], "max_latency_ms": spec.budget_ms}
    return yaml.safe_dump(document, sort_keys=False)


@contextmanager
def _embedded(spec: AuditSpec, config_path: Path, console: Console) -> Iterator[str]:
    from routing.policy import PolicyError
    from serve.cli.local import serving
    from serve.config import ConfigError, PolicySource, load_config
    from serve.policy_source import open_store, raster_shelf

    routed = [name for name, each in spec.candidates.items() if each.route_asset is not None]
    if routed:
        raise click.UsageError(
            f"{', '.join(routed)}: route_asset is for an endpoint's policy; with --config give stages"
        )
    try:
        config = load_config(config_path)
        config = config.model_copy(update={"policy": PolicySource(text=candidates_policy(spec))})
        open_store(config, raster_shelf(config))
    except (ConfigError, PolicyError) as error:
        raise click.ClickException(str(error)) from None
    host, port = "127.0.0.1", _free_port()
    with serving(config, host, port, console):
        yield f"http://{host}:{port}"


def _check_endpoint_can(spec: AuditSpec) -> None:
    staged = [name for name, each in spec.candidates.items() if each.stages is not None]
    if staged:
        raise click.UsageError(
            f"{', '.join(staged)}: an endpoint's policy decides on stages; give a model (an alias may name a "
            "route) or a route_asset, or audit the config itself with --config"
        )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def _progress(spec: AuditSpec, console: Console) -> Iterator[RunProgress]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    pictures = spec.answers // (spec.repeats + spec.alone)
    with Progress(*columns, console=console, transient=True) as bars:
        asked = bars.add_task("asking", total=spec.answers)
        judged = bars.add_task("measuring", total=pictures)
        yield RunProgress(_advance(bars, asked), _advance(bars, judged))


def _advance(bars: Progress, task: TaskID) -> Callable[[int], None]:
    return lambda done: bars.update(task, completed=done)


def _overview(evidence: Evidence) -> Table:
    """The share that passes, by asset type and candidate."""
    table = Table("asset type", "candidate", "need no fix", "missed most")
    for asset in evidence.criteria:
        for variant in evidence.variants(asset):
            samples = evidence.of(asset, variant)
            missed = [reading.criterion for each in samples for reading in each.missed]
            worst = max(dict.fromkeys(missed), key=missed.count, default="")
            passed = sum(not each.needs_fix for each in samples)
            table.add_row(asset, variant, f"{passed} of {len(samples)}", worst)
    return table

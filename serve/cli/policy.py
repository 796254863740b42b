"""`atelier policy lint | explain | test | diff | schema`: change a policy without a deployment or fear.

Exit status: 0 when all is well, 1 when something was found (problems, failed cases, decisions that changed
with --fail-on-change, warnings with --strict), 2 for a wrong command line.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click
from rich.console import Console
from rich.text import Text

from routing.cases import LoadSpec, RequestSpec, load_cases, run_cases
from routing.compare import BadLog, decision_changes, diff_policies, read_request_log
from routing.decide import PolicyEngine
from routing.document import DocumentError
from routing.editor import policy_json_schema
from routing.explain import explain
from routing.files import folder_reader
from routing.lint import lint
from routing.policy import Policy, PolicyError, load_policy
from routing.types import Capability, ModelFacts, Snapshot
from serve.cli.policy_view import print_diff, print_explanation, print_finding, verdict

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_CHANGES_SHOWN = 50

F = TypeVar("F", bound=Callable[..., Any])

policy = click.Group("policy", help="Check, explain and compare routing policies.")


def _config_option(command: F) -> F:
    return click.option(
        "--config",
        type=_FILE,
        help="The application's config: which models there are. Without it every model the policy names is "
        "taken to exist and to be able to do anything.",
    )(command)


def _policy_option(command: F) -> F:
    return click.option("--policy", "policy_path", type=_FILE, help="Default: the policy of --config.")(
        command
    )


@policy.command("lint")
@click.argument("policies", nargs=-1, required=True, type=_FILE)
@_config_option
@click.option("--strict", is_flag=True, help="Warnings count as problems.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per finding.")
def lint_command(policies: tuple[Path, ...], config: Path | None, strict: bool, as_json: bool) -> None:
    """Report what is wrong in POLICIES, and what is probably not meant."""
    failed = False
    for path in policies:
        try:
            loaded, models = _load(path, config)
        except PolicyError as error:
            failed = True
            for problem in error.problems:
                print_finding(
                    as_json,
                    "error",
                    f"{problem.source}:{problem.line}:{problem.column}",
                    problem.path,
                    problem.message,
                )
            continue
        for found in lint(PolicyEngine(loaded, models)):
            failed = failed or strict
            print_finding(
                as_json, "warning", str(found.place), found.route, f"{found.message} [{found.code}]"
            )
        if not as_json:
            Console().print(
                f"{path}: version {loaded.version}, {len(loaded.all_routes)} routes",
                highlight=False,
                soft_wrap=True,
            )
    if failed:
        raise SystemExit(1)


@policy.command("explain")
@click.argument("prompt", default="")
@_policy_option
@_config_option
@click.option("--asset", help="The asset label.")
@click.option("--model", default="auto", show_default=True, help="What the caller asks for.")
@click.option("--tenant")
@click.option("--size", default="auto", show_default=True, help="WIDTHxHEIGHT.")
@click.option("--quality")
@click.option("--n", type=int, default=1, show_default=True)
@click.option("--steps", type=int)
@click.option("--needs", type=click.Choice([each.value for each in Capability]), default="generate")
@click.option("--priority", type=click.Choice(["interactive", "batch"]), default="interactive")
@click.option("--label", "labels", multiple=True, help="NAME=VALUE; may be repeated.")
@click.option("--max-latency-ms", type=float)
@click.option("--sticky-key")
@click.option(
    "--wait-ms", "waits", multiple=True, help="MODEL=MILLISECONDS: assume this queue; may be repeated."
)
@click.option("--down", multiple=True, help="MODEL: assume that its breaker is open; may be repeated.")
@click.option("--json", "as_json", is_flag=True)
def explain_command(
    prompt: str,
    policy_path: Path | None,
    config: Path | None,
    labels: tuple[str, ...],
    waits: tuple[str, ...],
    down: tuple[str, ...],
    as_json: bool,
    **fields: Any,
) -> None:
    """Show what becomes of a request for PROMPT: every rule's fate and the plan with its predicted times."""
    loaded, models = _load_or_exit(policy_path, config)
    given = {name: value for name, value in fields.items() if value is not None}
    request = _request({"prompt": prompt, **given, "labels": dict(_pairs(labels, "--label"))})
    snapshot = _snapshot(models, dict(_pairs(waits, "--wait-ms")), down)
    explanation = explain(PolicyEngine(loaded, models), request.to_request(), snapshot, 0.0)
    if as_json:
        click.echo(json.dumps(asdict(explanation), ensure_ascii=False, default=str, indent=2))
    else:
        print_explanation(Console(), explanation)
    if explanation.decision is None:
        raise SystemExit(1)


@policy.command("test")
@click.argument("cases", nargs=-1, required=True, type=_FILE)
@_policy_option
@_config_option
def test_command(cases: tuple[Path, ...], policy_path: Path | None, config: Path | None) -> None:
    """Run the expected routings in CASES (YAML, see docs/policy.md). Needs no model."""
    loaded, models = _load_or_exit(policy_path, config)
    engine = PolicyEngine(loaded, models)
    console = Console()
    failed = total = 0
    for path in cases:
        try:
            file = load_cases(path.read_bytes(), str(path))
        except DocumentError as error:
            _fail(str(error))
        for result in run_cases(engine, file):
            total += 1
            failed += not result.passed
            console.print(verdict(result.passed, result.case.name), soft_wrap=True)
            for mismatch in result.mismatches:
                console.print(Text(f"      {mismatch}"), soft_wrap=True)
    console.print(f"{total - failed} of {total} cases pass (policy {loaded.version})", highlight=False)
    if failed:
        raise SystemExit(1)


@policy.command("diff")
@click.argument("before", type=_FILE)
@click.argument("after", type=_FILE)
@_config_option
@click.option("--requests", "log", type=_FILE, help="JSON lines: compare what is decided for these too.")
@click.option("--fail-on-change", is_flag=True, help="Exit with 1 when a decision changes.")
def diff_command(
    before: Path, after: Path, config: Path | None, log: Path | None, fail_on_change: bool
) -> None:
    """Show what changes from policy BEFORE to policy AFTER."""
    old, models = _load_or_exit(before, config)
    new, new_models = _load_or_exit(after, config)
    console = Console()
    print_diff(console, old, new, diff_policies(old, new))
    if log is None:
        return
    try:
        requests = read_request_log(log.read_text("utf-8").splitlines(), str(log))
    except (BadLog, UnicodeDecodeError) as error:
        _fail(str(error))
    changes = decision_changes(PolicyEngine(old, models), PolicyEngine(new, new_models), requests, Snapshot())
    console.print(f"{len(changes)} of {len(requests)} requests are decided differently", highlight=False)
    for change in changes[:_CHANGES_SHOWN]:
        asset = "" if change.request.asset is None else f"[{change.request.asset}] "
        console.print(Text(f"  {asset}{change.request.prompt[:80]!r}"), soft_wrap=True)
        console.print(Text(f"    - {change.before}", "red"), soft_wrap=True)
        console.print(Text(f"    + {change.after}", "green"), soft_wrap=True)
    if len(changes) > _CHANGES_SHOWN:
        console.print(f"  and {len(changes) - _CHANGES_SHOWN} more", highlight=False)
    if changes and fail_on_change:
        raise SystemExit(1)


@policy.command("schema")
def schema_command() -> None:
    """Print the JSON Schema of policy files, for editors."""
    click.echo(json.dumps(policy_json_schema(), indent=2))


def _load(policy_path: Path, config: Path | None) -> tuple[Policy, Mapping[str, ModelFacts]]:
    """Raises PolicyError."""
    text = policy_path.read_bytes()
    models = configured_models(config) if config is not None else assumed_models(text, policy_path)
    return load_policy(text, source=str(policy_path), models=models, read=folder_reader(policy_path)), models


def _load_or_exit(policy_path: Path | None, config: Path | None) -> tuple[Policy, Mapping[str, ModelFacts]]:
    try:
        if policy_path is not None:
            return _load(policy_path, config)
        if config is None:
            raise click.UsageError("give --policy, or --config whose policy is meant")
        return _load_configured(config)
    except PolicyError as error:
        _fail(str(error))


def _load_configured(config: Path) -> tuple[Policy, Mapping[str, ModelFacts]]:
    """The policy the config names, and its models. Raises PolicyError."""
    from serve.config import ConfigError, load_config, model_facts
    from serve.policy_text import read_policy

    try:
        app = load_config(config)
        found, models = read_policy(app.policy), model_facts(app)
    except ConfigError as error:
        _fail(str(error))
    return load_policy(found.text, source=found.source, models=models, read=found.read), models


def configured_models(config: Path) -> Mapping[str, ModelFacts]:
    from serve.config import ConfigError, load_config, model_facts

    try:
        return model_facts(load_config(config))
    except ConfigError as error:
        _fail(str(error))


def assumed_models(text: bytes, path: Path) -> Mapping[str, ModelFacts]:
    """A model of every capability for each name the policy mentions. Raises PolicyError."""
    from routing.files import read_with_includes
    from routing.policy import mentioned_models

    try:
        files = read_with_includes(text, str(path), folder_reader(path))
    except DocumentError as error:
        raise PolicyError(error.problems) from None
    anything = frozenset(Capability)
    return {name: ModelFacts(name, anything) for file in files for name in mentioned_models(file.spec)}


def _request(fields: Mapping[str, Any]) -> RequestSpec:
    from pydantic import ValidationError

    try:
        return RequestSpec.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]).replace("_", "-")
        raise click.UsageError(f"--{where}: {first['msg']}") from None


def _snapshot(models: Mapping[str, ModelFacts], waits: Mapping[str, str], down: tuple[str, ...]) -> Snapshot:
    states = {}
    for name in dict.fromkeys((*waits, *down)):
        if name not in models:
            raise click.UsageError(f"there is no model {name!r}; the models are {', '.join(sorted(models))}")
        try:
            wait_ms = float(waits.get(name, 0))
        except ValueError:
            raise click.UsageError(f"--wait-ms {name}={waits[name]}: not a number") from None
        states[name] = LoadSpec(wait_ms=wait_ms, breaker_open=name in down).to_state()
    return Snapshot(states)


def _pairs(written: tuple[str, ...], option: str) -> list[tuple[str, str]]:
    pairs = [each.partition("=") for each in written]
    for name, equals, value in pairs:
        if not (name and equals and value):
            raise click.UsageError(f"{option} {name}{equals}{value}: write NAME=VALUE")
    return [(name, value) for name, _, value in pairs]


def _fail(message: str) -> NoReturn:
    for line in message.splitlines():
        click.echo(line, err=True)
    raise SystemExit(1)

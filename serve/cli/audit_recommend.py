"""`atelier audit recommend`: the routing policy that an audit's results speak for, as a diff to the
present one."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from audits.evidence import Evidence
from audits.recommend.choosing import Contender
from audits.recommend.contenders import HEAD_ROOM_RATIO, choice_of, contenders, evidence_lines
from audits.recommend.policy import (
    AssetChoice,
    CannotEdit,
    CannotRecommend,
    Recommendation,
    present_models,
    recommend,
)
from routing.files import folder_reader
from routing.policy import PolicyError, load_policy
from routing.types import Capability, ModelFacts
from serve.cli.audit_run import FILE, OUTPUT, evidence_of, feedback_option, run_argument, summary_of
from serve.cli.policy import assumed_models, configured_models


@click.command(name="recommend")
@run_argument
@click.option("--policy", "policy_path", type=FILE, required=True, help="The present one; it stays as it is.")
@click.option("--config", type=FILE, help="The application's config: which models there are.")
@feedback_option
@click.option(
    "--head-room",
    "head_room_ratio",
    default=HEAD_ROOM_RATIO,
    show_default=True,
    type=click.FloatRange(1, 10),
    help="Budgets are this much above the upper end of the measured p95.",
)
@click.option("--out", "policy_out", type=OUTPUT, help="Write the new policy here.")
@click.option("--cases", "cases_out", type=OUTPUT, help="Write cases for `atelier policy test` here.")
def recommend_command(
    run: Path,
    policy_path: Path,
    config: Path | None,
    feedback: tuple[Path, ...],
    head_room_ratio: float,
    policy_out: Path | None,
    cases_out: Path | None,
) -> None:
    """Print how the present policy should change by what RUN found, as a diff for `git apply`."""
    evidence = evidence_of(run)
    summary = summary_of(run, evidence, feedback)
    try:
        found = _recommended(evidence, summary, policy_path, config, head_room_ratio)
    except (PolicyError, CannotEdit, CannotRecommend) as error:
        click.echo(str(error), err=True)
        raise SystemExit(1) from None
    click.echo(found.diff, nl=False)
    if policy_out is not None:
        policy_out.write_text(found.text, "utf-8")
    if cases_out is not None:
        cases_out.write_text(found.cases, "utf-8")


def _recommended(
    evidence: Evidence, summary: Mapping[str, Any], path: Path, config: Path | None, head_room_ratio: float
) -> Recommendation:
    """Raises PolicyError, CannotEdit and CannotRecommend."""
    text, source, read = path.read_text("utf-8"), str(path), folder_reader(path)
    if config is not None:
        models = configured_models(config)
    else:
        models = {**_audited_models(evidence), **assumed_models(text.encode(), path)}
    policy = load_policy(text, source=source, models=models, read=read)
    chosen = []
    for asset in summary["assets"]:
        name = asset["name"]
        prompts = tuple(dict.fromkeys(each.prompt for each in evidence.of(name)))
        now = present_models(policy, models, name, prompts[0])
        choice = choice_of(asset, _named(now, contenders(asset)), head_room_ratio)
        lines = evidence_lines(asset, choice)
        chosen.append(AssetChoice(name, prompts, choice, (f"{_when(evidence)}: {lines[0]}", *lines[1:])))
    return recommend(text, source, models, chosen, read)


def _when(evidence: Evidence) -> str:
    return f"{evidence.name}, {time.strftime('%Y-%m-%d', time.gmtime(evidence.started_unix_s))}"


def _named(now: Contender | None, measured: list[Contender]) -> str | None:
    """The variant that the policy promises now, if the audit measured it."""
    if now is None:
        return None
    same = [each for each in measured if each.models == now.models]
    exact = [each for each in same if now.steps in (None, each.steps)]
    return (exact or same)[0].variant if same else None


def _audited_models(evidence: Evidence) -> Mapping[str, ModelFacts]:
    """Without a config, models that answered are taken to exist and to be able to do anything."""
    anything = frozenset(Capability)
    return {name: ModelFacts(name, anything) for each in evidence.samples for name in each.models}

"""`atelier audit run`: its command line, and the policy under which a server of its own is audited."""

import asyncio
from pathlib import Path

import pytest
from click.testing import CliRunner

from audits.evidence_file import read_evidence
from audits.run.plan import CANDIDATE_LABEL, cells
from audits.run.spec import load_audit, parse_audit
from routing.types import AssetRequest, Snapshot
from serve.cli import main
from serve.cli.audit_measure import candidates_policy
from serve.config import PolicySource, load_config
from serve.policy_source import open_store, raster_shelf
from tests.audits.run.endpoint import AUDIT, Fake, serving

EXAMPLES = Path(__file__).parents[3] / "examples"


def _invoke(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["audit", "run", *arguments])
    return result.exit_code, result.output


async def test_an_audit_against_an_endpoint(tmp_path: Path) -> None:
    audit = tmp_path / "audit.yaml"
    audit.write_text(AUDIT)
    out = tmp_path / "out"
    async with serving(Fake()) as url:
        code, output = await asyncio.to_thread(_invoke, str(audit), "--out", str(out), "--url", url)
    assert code == 0, output
    assert "4 of 4" in output
    assert f"atelier audit report {out}" in output
    assert read_evidence(out).name == "fake"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ((), "give --url of a running endpoint, or --config"),
        (("--url", "http://192.0.2.1"), "--allow-remote"),
        (("--url", "http://127.0.0.1:9"), "run the same command again to go on"),
    ],
)
def test_what_cannot_be_audited_is_said(tmp_path: Path, arguments: tuple[str, ...], problem: str) -> None:
    audit = tmp_path / "audit.yaml"
    audit.write_text(AUDIT)
    code, output = _invoke(str(audit), "--out", str(tmp_path / "out"), *arguments)
    assert code != 0
    assert problem in " ".join(output.split())


def test_an_endpoint_is_not_asked_for_stages(tmp_path: Path) -> None:
    code, output = _invoke(
        str(EXAMPLES / "audit.yaml"), "--out", str(tmp_path), "--url", "http://127.0.0.1:9"
    )
    assert code == 2
    assert "an endpoint's policy decides on stages" in " ".join(output.split())


def test_each_candidate_is_answered_by_its_own_stages_and_nothing_stands_in() -> None:
    spec = load_audit(EXAMPLES / "audit.yaml")
    config = load_config(str(EXAMPLES / "local.yaml"))
    config = config.model_copy(update={"policy": PolicySource(text=candidates_policy(spec))})
    engine = open_store(config, raster_shelf(config)).current.engine
    for cell in cells(spec):
        candidate = spec.candidates[cell.candidate]
        request = AssetRequest(
            prompt="x",
            model=candidate.model or "auto",
            labels={CANDIDATE_LABEL: cell.candidate},
            width=256,
            height=128,
        )
        decision = engine.decide(request, Snapshot(), now_s=0.0)
        expected = candidate.stages or (candidate.model,)
        assert [plan.models for plan in decision.chain] == [expected]


def test_an_audit_without_stages_needs_a_default_only() -> None:
    assert "model_routing: []" in candidates_policy(parse_audit(AUDIT))

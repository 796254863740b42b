"""`atelier audit` on a finished run."""

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import uvicorn
import yaml
from click.testing import CliRunner
from starlette.testclient import TestClient

from audits.evidence import Reading
from audits.evidence_file import read_evidence, write_evidence
from serve.cli import audit_watch, main
from tests.audits.evidence import made_up_evidence

POLICY = """\
# Ours.
model_routing:
  - name: badges
    pattern: ".*ui-badge.*"   # small
    model: creative_highfidelity
    fallback: [typography_focused]
    max_latency_ms: 2000
  - name: posters
    pattern: ".*poster.*"
    model: creative_highfidelity
    max_latency_ms: 9000
default:
  model: creative_highfidelity
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    write_evidence(folder, made_up_evidence(folder))
    return folder


def evidence(text):
    """What the remarks say, on one line."""
    lines = [line.partition("# audit:")[2] for line in text.splitlines() if "# audit:" in line]
    return " ".join(" ".join(lines).split())


def call(*arguments, code=0):
    result = CliRunner().invoke(main, ["audit", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result.output


def test_a_report_is_a_page_and_its_numbers(run, tmp_path):
    feedback = tmp_path / "feedback.jsonl"
    feedback.write_text(json.dumps({"receipt_id": "icon-00-creative", "verdict": "fixed", "minutes": 2}))
    rate = {"route": "badges", "experiment": None, "arm": None, "count": 40, "fixed": 10, "ratio": 0.25,
            "interval": {"low": 0.14, "high": 0.4}, "minutes_mean": 3.5}  # fmt: skip
    rates = tmp_path / "experiments.json"
    rates.write_text(json.dumps({"rates": [rate], "comparisons": {}}))
    call("report", run, "--feedback", feedback, "--feedback", rates)
    assert "What people did with what was delivered" in (run / "report.html").read_text()
    assert (run / "report.html").read_text().startswith("<!doctype html>")
    summary = json.loads((run / "report.json").read_text())
    assert summary["audit"]["judged"] == 1
    assert len(summary["samples"]) == 108


def test_the_recommended_policy_applies_and_its_cases_pass(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    policy, new, cases = Path("policy.yaml"), Path("new.yaml"), Path("cases.yaml")
    policy.write_text(POLICY)
    diff = call("recommend", run, "--policy", policy, "--out", new, "--cases", cases)
    badges, posters = yaml.safe_load(new.read_text())["model_routing"][:2]
    assert badges["model"] == "typography_focused"
    assert "fallback" not in badges
    assert posters["stages"] == ["creative_highfidelity", "typography_focused"]
    assert "+  # audit: made up, 2026-09-21: typesetter alone passed every criterion." in diff
    assert "# small" in new.read_text()
    result = CliRunner().invoke(main, ["policy", "test", str(cases), "--policy", str(new)])
    assert result.exit_code == 0, result.output
    assert CliRunner().invoke(main, ["policy", "test", str(cases), "--policy", str(policy)]).exit_code == 1
    subprocess.run(["git", "apply", "-"], input=diff, text=True, check=True)
    assert policy.read_text() == new.read_text()


def test_icons_keep_the_present_model_where_no_winner_is_shown(run, tmp_path):
    (tmp_path / "policy.yaml").write_text(POLICY)
    call("recommend", run, "--policy", tmp_path / "policy.yaml", "--out", tmp_path / "new.yaml")
    text = (tmp_path / "new.yaml").read_text()
    icon = next(each for each in yaml.safe_load(text)["model_routing"] if each["name"] == "icon")
    assert icon["model"] == "creative_highfidelity"
    assert "no winner is shown between typesetter, creative, creative + typeset; creative stays." in evidence(
        text
    )


def test_what_others_answered_for_was_not_measured(run, tmp_path):
    found = read_evidence(run)
    samples = tuple(
        replace(each, substituted=each.variant == "typesetter" and each.seed < 4) for each in found.samples
    )
    write_evidence(run.parent, replace(found, samples=samples))
    (tmp_path / "policy.yaml").write_text(POLICY)
    diff = call("recommend", run.parent, "--policy", tmp_path / "policy.yaml")
    assert "may not answer, 4 of 12 answered by a substitute" in evidence(diff)
    assert "+    model: typography_focused" not in diff


def test_a_review_listens_on_this_machine_alone(run, monkeypatch):
    seen = []

    def serve(server, sockets):
        seen.append(sockets[0].getsockname()[0])
        client = TestClient(server.config.app, base_url="http://127.0.0.1")
        pair = client.get("/session").json()["pairs"][0]["id"]
        said = {"verdict": "accept"}
        client.post(
            "/judgements", json={"pair": pair, "revision": 0, "left": said, "right": said, "looked_s": 1}
        )

    monkeypatch.setattr(uvicorn.Server, "run", serve)
    output = call("review", run, "--reviewer", "ada", "--pairs", 3, "--seed", 1, "--port", 0)
    assert seen == ["127.0.0.1"]
    assert "ada: 0 of 3 pairs judged. Open http://127.0.0.1:" in output
    assert "1 of 3 pairs judged, in" in output
    (run / "reviews.jsonl").unlink()


def test_a_policy_that_does_not_load_is_refused_with_its_line(run, tmp_path):
    (tmp_path / "policy.yaml").write_text("model_routing: {}\n")
    assert "policy.yaml:1" in call("recommend", run, "--policy", tmp_path / "policy.yaml", code=1)


def test_an_accepted_run_compared_with_itself_is_fine(run, tmp_path):
    accepted = tmp_path / "accepted.json"
    call("accept", run, "--out", accepted)
    assert "0 of" in call("compare", run, "--accepted", accepted)


def test_a_regression_ends_with_1_and_names_what_and_why(run, tmp_path):
    accepted = tmp_path / "accepted.json"
    call("accept", run, "--out", accepted)
    found = read_evidence(run)
    readings = tuple(Reading(name, name != "legible") for name in ("legible", "palette", "size"))
    samples = tuple(
        replace(each, readings=readings) if (each.asset, each.variant) == ("ui-badge", "typesetter") else each
        for each in found.samples
    )
    worse = replace(found, samples=samples, versions={**found.versions, "typography_focused": "r2"})
    write_evidence(run.parent, replace(worse))
    output = call("compare", run.parent, "--accepted", accepted, code=1)
    assert "1 of" in output
    assert "legible" in output
    assert "typography_focused: r1 when accepted, r2 now" in output


def test_a_folder_without_an_audit_is_named(tmp_path):
    assert "has no evidence.json" in call("report", tmp_path, code=2)


def test_a_watch_runs_the_audit_writes_its_report_and_ends_with_1_when_it_became_worse(
    run, tmp_path, monkeypatch
):
    """The run itself is tested in tests/audits/run; here it answers at once, and the second time worse."""
    accepted = tmp_path / "accepted.json"
    call("accept", run, "--out", accepted)
    audit = tmp_path / "audit.yaml"
    audit.write_text("name: made up\n")
    changes = iter([{}, {"picture": None, "readings": (), "latency_ms": None}])

    def measure(_spec, folder, **_endpoint):
        folder.mkdir(parents=True)
        change = next(changes)
        evidence = made_up_evidence(folder)
        samples = tuple(
            replace(each, **change) if each.variant == "typesetter" else each for each in evidence.samples
        )
        return replace(evidence, samples=samples)

    monkeypatch.setattr(audit_watch, "measure", measure)
    monkeypatch.setattr(audit_watch, "load", lambda path: None)
    options = ("watch", audit, "--accepted", accepted, "--url", "http://127.0.0.1:8000", "--runs")
    assert "0 of" in call(*options, tmp_path / "one")
    assert [each.name for each in tmp_path.glob("one/*/report.html")] == ["report.html"]
    output = call(*options, tmp_path / "two", code=1)
    assert "answered" in output
    assert "latency was not measured again" in output

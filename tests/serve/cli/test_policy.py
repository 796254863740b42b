import json
from pathlib import Path

import jsonschema_rs
import pytest
from click.testing import CliRunner, Result

from serve.cli.policy import policy

POLICY = """\
model_routing:
  - name: badges
    pattern: ".*ui-badge.*"
    model: typography_focused
    max_latency_ms: 300
    raster_fallback: badge.png
  - name: posters
    pattern: ".*poster.*"
    model: creative_highfidelity
    fallback: [fast]
default: {model: fast}
"""
CONFIG = """\
models:
  typography_focused: {kind: echo}
  creative_highfidelity: {kind: echo}
  fast: {kind: echo}
policy: {path: ./policy.yaml}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "policy.yaml").write_text(POLICY)
    (tmp_path / "config.yaml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def atelier_policy(*arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "200"}).invoke(policy, arguments)


class TestLint:
    def test_a_good_policy(self, folder):
        result = atelier_policy("lint", "policy.yaml")
        assert result.exit_code == 0
        assert "3 routes" in result.output

    def test_problems_are_located(self, folder):
        (folder / "bad.yaml").write_text(POLICY + "aliases: {a: {route: nope}}\n")
        result = atelier_policy("lint", "bad.yaml", "policy.yaml")
        assert result.exit_code == 1
        assert "bad.yaml:12:22: error: aliases.a.route: no route is called 'nope'" in result.output
        assert "policy.yaml: version" in result.output

    def test_warnings_fail_only_when_told_to(self, folder):
        (folder / "warn.yaml").write_text("model_routing: [{pattern: x, model: fast}]\n")
        assert atelier_policy("lint", "warn.yaml").exit_code == 0
        result = atelier_policy("lint", "warn.yaml", "--strict", "--json")
        assert result.exit_code == 1
        assert json.loads(result.output)["severity"] == "warning"

    def test_models_come_from_the_config(self, folder):
        (folder / "p.yaml").write_text("default: {model: elsewhere}\n")
        assert atelier_policy("lint", "p.yaml").exit_code == 0
        result = atelier_policy("lint", "p.yaml", "--config", "config.yaml")
        assert result.exit_code == 1
        assert "there is no model 'elsewhere'; the models are creative_highfidelity, fast" in result.output

    def test_a_bad_config_is_one_clear_error(self, folder):
        (folder / "config.yaml").write_text("models: 3\n")
        result = atelier_policy("lint", "policy.yaml", "--config", "config.yaml")
        assert result.exit_code == 1
        assert "config.yaml: models" in result.output
        assert "Traceback" not in result.output


class TestExplain:
    def test_each_rules_fate_and_the_plan(self, folder):
        result = atelier_policy("explain", "a poster of a cat", "--config", "config.yaml")
        assert result.exit_code == 0
        assert "the pattern is neither in the asset nor in the prompt" in result.output
        assert "route posters matches: creative_highfidelity" in result.output
        assert "policy.yaml:7:5" in result.output

    def test_an_asset_and_a_raster(self, folder):
        result = atelier_policy("explain", "--asset", "ui-badge", "--policy", "policy.yaml")
        assert "typography_focused, about 0 ms of 300 ms" in result.output
        assert "then the baked image badge.png" in result.output

    def test_assumed_load_changes_the_plan(self, folder):
        arguments = ("explain", "a poster", "--policy", "policy.yaml", "--max-latency-ms", "500")
        result = atelier_policy(*arguments, "--wait-ms", "creative_highfidelity=900")
        assert (
            "fast, about 0 ms of 500 ms, instead of creative_highfidelity which would take" in result.output
        )
        result = atelier_policy(*arguments, "--down", "creative_highfidelity", "--down", "fast", "--json")
        assert json.loads(result.output)["decision"]["refusal"] == "refused_capacity"

    def test_a_request_without_a_decision_fails(self, folder):
        result = atelier_policy("explain", "x", "--model", "nope", "--policy", "policy.yaml")
        assert result.exit_code == 1
        assert "there is no model 'nope'; known are auto, creative_highfidelity" in result.output

    @pytest.mark.parametrize(
        ("option", "message"),
        [
            (("--size", "big"), "--size"),
            (("--label", "x"), "write NAME=VALUE"),
            (("--wait-ms", "nope=3"), "there is no model 'nope'"),
            (("--wait-ms", "fast=soon"), "not a number"),
        ],
    )
    def test_a_wrong_command_line(self, folder, option, message):
        result = atelier_policy("explain", "x", "--policy", "policy.yaml", *option)
        assert result.exit_code == 2
        assert message in result.output

    def test_a_policy_must_be_named(self, folder):
        assert atelier_policy("explain", "x").exit_code == 2


class TestTest:
    def test_cases_pass_or_fail(self, folder):
        (folder / "cases.yaml").write_text(
            "cases:\n  - {name: good, request: {asset: ui-badge}, expect: {route: badges}}\n"
            "  - {name: bad, request: {prompt: poster}, expect: {route: badges}}\n"
        )
        result = atelier_policy("test", "cases.yaml", "--config", "config.yaml")
        assert result.exit_code == 1
        assert "ok    good" in result.output
        assert "FAIL  bad" in result.output
        assert "route: expected badges, got posters" in result.output
        assert "1 of 2 cases pass" in result.output

    def test_a_mistake_in_the_cases(self, folder):
        (folder / "cases.yaml").write_text("cases:\n  - {name: good}\n")
        result = atelier_policy("test", "cases.yaml", "--policy", "policy.yaml")
        assert result.exit_code == 1
        assert "cases.yaml:2:5: cases[0].request" in result.output


class TestDiff:
    def test_what_is_written_and_what_is_decided(self, folder):
        (folder / "new.yaml").write_text(POLICY.replace("300", "250"))
        (folder / "log.jsonl").write_text('{"prompt": "x", "asset": "ui-badge"}\n{"prompt": "poster"}\n')
        arguments = ("diff", "policy.yaml", "new.yaml", "--requests", "log.jsonl")
        result = atelier_policy(*arguments)
        assert result.exit_code == 0
        assert "~ badges: max_latency_ms: 300.0 -> 250.0" in result.output
        assert "1 of 2 requests are decided differently" in result.output
        assert "+ badges: typography_focused, else raster badge.png (250 ms)" in result.output
        assert atelier_policy(*arguments, "--fail-on-change").exit_code == 1

    def test_a_bad_log(self, folder):
        (folder / "log.jsonl").write_text("{\n")
        result = atelier_policy("diff", "policy.yaml", "policy.yaml", "--requests", "log.jsonl")
        assert result.exit_code == 1
        assert "log.jsonl:1:" in result.output


def test_the_schema_accepts_the_policy():
    schema = json.loads(atelier_policy("schema").output)
    jsonschema_rs.Draft202012Validator(schema)
    assert schema["title"] == "Atelier routing policy"

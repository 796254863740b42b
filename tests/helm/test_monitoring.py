"""Alerts and dashboards: PromQL that parses, over metrics that are really exported, and alerts that fire."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import promql_parser
import pytest
import yaml

from audits.watch import metrics as audit_metrics
from deployments import telemetry as replica_telemetry
from helm import generate_dashboards
from serve import telemetry
from tests.helm.rendering import CHART, REPOSITORY, Object, example, one, render

FILES = CHART / "files"
METRICS = Path(__file__).parent / "exported_metrics.txt"
TIMES = "[$__rate_interval]"


@cache
def _rules() -> Object:
    return one(render(example("multi-gpu")), "PrometheusRule")["spec"]  # type: ignore[no-any-return]


def _alerts() -> list[Object]:
    return [rule for group in _rules()["groups"] for rule in group["rules"] if "alert" in rule]


def _expressions() -> Iterator[tuple[str, str]]:
    for group in _rules()["groups"]:
        for rule in group["rules"]:
            yield rule.get("alert") or rule["record"], rule["expr"]
    for path in sorted((FILES / "dashboards").glob("*.json")):
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel["targets"]:
                yield f"{path.stem}: {panel['title']}", target["expr"].replace(TIMES, "[5m]")


EXPRESSIONS = list(_expressions())


def _selectors(node: object) -> Iterator[promql_parser.VectorSelector]:
    if isinstance(node, promql_parser.VectorSelector):
        yield node
        return
    for name in ("expr", "lhs", "rhs", "vs", "vector_selector", "param"):
        child = getattr(node, name, None)
        if child is not None:
            yield from _selectors(child)
    for argument in getattr(node, "args", None) or ():
        yield from _selectors(argument)


def exported() -> set[str]:
    """Names that a running application exported; test_live_metrics.py compares them with a live one. Audits
    push theirs, see tests/audits/watch/test_metrics.py."""
    pushed = {value for key, value in vars(audit_metrics).items() if key.startswith("METRIC_")}
    return pushed | {line for line in METRICS.read_text().splitlines() if line and not line.startswith("#")}


@pytest.mark.parametrize(("where", "expression"), EXPRESSIONS, ids=[where for where, _ in EXPRESSIONS])
def test_promql_uses_only_exported_metrics(where: str, expression: str) -> None:
    selectors = list(_selectors(promql_parser.parse(expression)))
    recorded = {rule["record"] for group in _rules()["groups"] for rule in group["rules"] if "record" in rule}
    named = set(re.findall(r"\b(?:ray_\w+|atelier_\w+|atelier:\w+:\w+)", expression))
    assert {selector.name for selector in selectors} == named, "the walk over the expression missed some"
    assert named <= exported() | recorded
    assert named or expression.startswith("vector(")


@pytest.mark.parametrize(("where", "expression"), EXPRESSIONS, ids=[where for where, _ in EXPRESSIONS])
def test_promql_looks_at_one_release(where: str, expression: str) -> None:
    for selector in _selectors(promql_parser.parse(expression)):
        if selector.name.startswith(("ray_", "atelier_")):
            labels = {matcher.name for matcher in selector.matchers.matchers}
            assert {"namespace", "app_kubernetes_io_instance"} <= labels, selector.name


def test_labels_of_our_metrics_are_those_the_application_sets() -> None:
    """Each metric is created with these labels; a misspelt one would select nothing."""
    source = "".join((REPOSITORY / part / "metrics.py").read_text() for part in ("serve", "deployments"))
    own = {
        "namespace",
        "app_kubernetes_io_instance",
        "le",
        *re.findall(r'"(route|model|outcome|met|result|shape)"', source),
    }
    for where, expression in EXPRESSIONS:
        for selector in _selectors(promql_parser.parse(expression)):
            if selector.name.startswith("ray_atelier_"):
                assert {matcher.name for matcher in selector.matchers.matchers} <= own, where


def test_an_audit_has_the_labels_that_its_alerts_show() -> None:
    for alert in _alerts():
        if "atelier_audit_" in alert["expr"]:
            shown = set(re.findall(r"\$labels\.(\w+)", alert["annotations"]["summary"]))
            assert shown <= set(audit_metrics.LABELS)
            assert "runbook_url" in alert["annotations"]


def test_every_metric_of_the_application_is_shown() -> None:
    names = {
        value
        for module in (telemetry, replica_telemetry)
        for key, value in vars(module).items()
        if key.startswith("METRIC_")
    }
    shown = " ".join(expression for _, expression in EXPRESSIONS)
    assert {name for name in names if f"ray_{name}" not in shown} == set()


def test_every_alert_has_a_page_in_the_incident_guide() -> None:
    guide = (REPOSITORY / "docs" / "operations.md").read_text()
    anchors = {heading.strip().lower() for heading in re.findall(r"^#+ (Atelier\w+)$", guide, re.MULTILINE)}
    for alert in _alerts():
        anchor = alert["annotations"]["runbook_url"].rsplit("#", 1)[1]
        assert anchor == alert["alert"].lower()
        assert anchor in anchors, f"docs/operations.md lacks a section {alert['alert']}"
    assert anchors == {alert["alert"].lower() for alert in _alerts()}, "sections without an alert"


def test_every_alert_says_how_bad_and_what() -> None:
    for alert in _alerts():
        assert alert["labels"]["severity"] in ("critical", "warning")
        assert len(alert["annotations"]["summary"]) > 20


def test_nothing_is_left_to_replace() -> None:
    text = yaml.safe_dump(_rules())
    assert not re.search(
        r"\b(SCOPE|BUDGET_OBJECTIVE|QUEUE_P95_MS|GPU_MEMORY_RATIO|AUDIT_OVERDUE_HOURS|RUNBOOK)\b", text
    )


def test_thresholds_come_from_the_values() -> None:
    rules = {"budgetObjectiveRatio": 0.95, "queueP95Ms": 750, "gpuMemoryUsedRatio": 0.8}
    values = {"monitoring": {"rules": {"enabled": True, **rules}}}
    text = yaml.safe_dump(one(render(values), "PrometheusRule")["spec"])
    assert "vector(0.95)" in text
    assert "> 750" in text
    assert "> 0.8" in text


def test_dashboards_fit_on_the_grid() -> None:
    for uid, (title, panels) in generate_dashboards.DASHBOARDS.items():
        places = [panel["gridPos"] for panel in generate_dashboards.dashboard(uid, title, panels)["panels"]]
        assert len({(place["x"], place["y"]) for place in places}) == len(places)
        assert all(place["x"] + place["w"] <= 24 for place in places)


def test_alerts_fire_when_they_should(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian: prometheus)")
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(_rules()))
    cases = (Path(__file__).parent / "alert_cases.yaml").read_text()
    (tmp_path / "cases.yaml").write_text(cases)
    checked = subprocess.run(
        [promtool, "check", "rules", "rules.yaml"], cwd=tmp_path, capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    tested = subprocess.run(
        [promtool, "test", "rules", "cases.yaml"], cwd=tmp_path, capture_output=True, text=True
    )
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_every_alert_has_a_case() -> None:
    cases = yaml.safe_load((Path(__file__).parent / "alert_cases.yaml").read_text())
    tests = [each for test in cases["tests"] for each in test["alert_rule_test"]]
    fires = {each["alertname"] for each in tests if each.get("exp_alerts")}
    silent = {each["alertname"] for each in tests if not each.get("exp_alerts")}
    names = {alert["alert"] for alert in _alerts()}
    assert fires == names
    assert silent == names

"""values.schema.json: generated from the application, closed everywhere, shipped in the package."""

import json
import re
import tarfile
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import helm_python
import hypothesis
import pytest
import yaml
from hypothesis import strategies as st
from hypothesis_jsonschema import from_schema

from helm import generate_dashboards, generate_schema
from routing.policy import load_policy
from serve.config import AppConfig, model_facts, parse_config
from tests.helm.cross_checks import cross_checks
from tests.helm.rendering import CHART, EXAMPLES, Object, Refused, example, merged, one, render
from tests.helm.strict import problems, schema_folder

SCHEMA: Object = json.loads((CHART / "values.schema.json").read_text())


def test_is_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    assert generate_schema.main(["--check"]) == 0, capsys.readouterr().err


def test_dashboards_are_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    assert generate_dashboards.main(["--check"]) == 0, capsys.readouterr().err


def _objects(node: Any, path: str = "") -> Iterator[tuple[str, Object]]:
    if isinstance(node, dict):
        if node.get("type") == "object":
            yield path, node
        for key, value in node.items():
            yield from _objects(value, f"{path}/{key}")
    if isinstance(node, list):
        for index, value in enumerate(node):
            yield from _objects(value, f"{path}/{index}")


def test_every_object_is_closed_or_a_map_of_one_type() -> None:
    open_objects = {
        path
        for path, node in _objects(SCHEMA)
        if node.get("additionalProperties") is not False
        and not isinstance(node.get("additionalProperties"), dict)
        and "allOf" not in node  # a model: closed by the branch of its kind
    }
    assert open_objects == {"/properties/global"}


def test_every_default_is_described() -> None:
    """values.yaml holds no key that the schema does not know, and the other way round."""
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert set(values) == set(SCHEMA["properties"]) - {"global"}


def test_closed_where_the_application_is() -> None:
    """The config's own top level is covered: a new part of it appears in the chart by generating again."""
    assert set(SCHEMA["$defs"]["app"]["properties"]) | {"models", "policy"} == set(AppConfig.model_fields)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_is_a_config_and_a_policy_that_load(path: Path) -> None:
    objects = render(yaml.safe_load(path.read_text()))
    deploy = yaml.safe_load(one(objects, "RayService")["spec"]["serveConfigV2"])
    config = parse_config(deploy["applications"][0]["args"])
    text = one(objects, "ConfigMap", "atelier-policy")["data"]["policy.yaml"]
    policy = load_policy(text, source=path.name, models=model_facts(config))
    assert len(policy.routes) >= 1


def test_package_contains_the_schema(tmp_path: Path) -> None:
    package = Path(helm_python.package(str(CHART), destination=str(tmp_path)))
    with tarfile.open(package) as archive:
        names = {name.removeprefix("atelier/") for name in archive.getnames()}
    expected = {"values.schema.json", "files/rules.yaml", "files/fetch_models.py", "templates/NOTES.txt"}
    assert expected | {f"examples/{path.name}" for path in EXAMPLES} <= names


def test_packaged_chart_refuses_a_typo(tmp_path: Path) -> None:
    package = helm_python.package(str(CHART), destination=str(tmp_path))
    with helm_python.Chart.load(package) as chart, pytest.raises(helm_python.HelmValuesError):
        chart.render({"imagee": {}}, name="atelier", namespace="studio")


# Parts of the values from which the property test draws. Each alone is a map of the values file.
_DRAWN = (
    "image", "apiKeys", "ray", "head", "workerGroups", "podAnnotations", "securityContext", "priorityClasses",
    "modelCache", "ingress", "gateway", "networkPolicy", "otelCollector", "monitoring", "tests", "loadtest",
    "audit", "batches",
)  # fmt: skip


def _strategy(name: str) -> st.SearchStrategy[Any]:
    definitions = {**SCHEMA["$defs"], "peers": _peers_by_alternative(SCHEMA["$defs"]["peers"])}
    return from_schema(_drawable({**SCHEMA["properties"][name], "$defs": definitions}))


def _peers_by_alternative(peers: Object) -> Object:
    """The same peers without `not`, which a generator can only satisfy by throwing most of them away."""
    properties = dict(peers["items"]["properties"])
    address = {"ipBlock": properties.pop("ipBlock")}
    alternatives = [{**peers["items"], "properties": each} for each in (address, properties)]
    for alternative in alternatives:
        del alternative["not"]
    return {"type": "array", "items": {"anyOf": alternatives}}


def _drawable(node: Any) -> Any:
    """Short lists and maps; free text is drawn from what people type, so that YAML quoting is tried hard."""
    if isinstance(node, list):
        return [_drawable(each) for each in node]
    if not isinstance(node, dict):
        return node
    drawable = {key: _drawable(value) for key, value in node.items()}
    if node.get("type") == "array":
        drawable["maxItems"] = 2
    if isinstance(node.get("additionalProperties"), dict):
        drawable["maxProperties"] = 2
    if node.get("type") == "string" and not {"enum", "const"} & set(node):
        drawable["pattern"] = node.get("pattern", r"^[ -~]{0,20}$").replace(r"[^\s]", "[a-z0-9.:/-]")
        drawable["maxLength"] = min(node.get("maxLength", 100), 100)
    return drawable


STRATEGIES: dict[str, st.SearchStrategy[Any]] = {}
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    STRATEGIES = {name: _strategy(name) for name in _DRAWN}

# Mostly one part at a time, laid over the defaults or an example; now and then two that may disagree.
_drawn_values = st.one_of(
    *[st.lists(st.sampled_from(_DRAWN), min_size=n, max_size=n, unique=True) for n in (1, 1, 1, 2)]
).flatmap(lambda names: st.fixed_dictionaries({name: STRATEGIES[name] for name in names}))

SETTINGS = hypothesis.settings(
    max_examples=500,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[hypothesis.Phase.generate],  # shrinking costs minutes where each case is a whole render
    suppress_health_check=list(hypothesis.HealthCheck),
)


def _render_or_refusal(values: Object) -> tuple[list[Object] | None, str]:
    try:
        return render(values), ""
    except Refused as refused:
        return None, str(refused)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_generated_values_render_to_valid_objects_or_are_refused() -> None:
    schema_folder()  # without the schemas nothing would be checked: skip, and say so
    outcomes: Counter[str] = Counter()
    _draw_values(outcomes)
    assert outcomes["rendered"] >= 50, outcomes
    assert outcomes["refused"] >= 50, outcomes


def _draw_values(outcomes: Counter[str]) -> None:
    """Draws 500 values and counts what became of them."""

    @SETTINGS
    @hypothesis.given(_drawn_values, st.sampled_from(["", *(path.stem for path in EXAMPLES)]))
    def draw(drawn: Object, base: str) -> None:
        outcomes[_rendered_or_refused(merged(example(base) if base else {}, drawn))] += 1

    draw()


def _rendered_or_refused(values: Object) -> str:
    objects, refusal = _render_or_refusal(values)
    if objects is None:
        assert not re.search(r"nil pointer|wrong type|error converting|YAML parse", refusal), refusal
        return "refused"
    for each in objects:
        assert problems(each) == []
    covered = values.get("networkPolicy", {}).get("enabled", True)
    assert cross_checks(objects, network_policies=covered) == []
    return "rendered"

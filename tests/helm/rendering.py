"""Renders the chart as Helm does and hands out objects. Knows no Kubernetes schema."""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import helm_python
import yaml
from helm_python import _native

Object = dict[str, Any]

_FastLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast where libyaml is there


class _Loader(_FastLoader):
    """A plain `=` is text, as it is for Kubernetes: YAML 1.1 gives it a meaning, Go's YAML does not."""


_Loader.add_constructor("tag:yaml.org,2002:value", _Loader.construct_yaml_str)

REPOSITORY = Path(__file__).resolve().parents[2]
CHART = REPOSITORY / "helm" / "atelier"
EXAMPLES = sorted((CHART / "examples").glob("*.yaml"))
RELEASE, NAMESPACE = "atelier", "studio"


class Refused(Exception):
    """The chart did not render. The message is what a user of `helm install` reads."""


@cache
def _chart() -> helm_python.Chart:
    return helm_python.Chart.load(str(CHART))


def render_text(
    values: Mapping[str, Any] | None = None, release: str = RELEASE, kube_version: str = "v1.31.4"
) -> dict[str, str]:
    """Rendered text by template, templates that render to nothing left out. Raises Refused."""
    options = {"name": release, "namespace": NAMESPACE, "kube_version": kube_version, "strict": False}
    try:
        answer = _native.call_string(
            "helm_render", _chart()._raw(), json.dumps(values or {}), json.dumps(options)
        )
    except helm_python.HelmError as error:
        raise Refused(str(error)) from None
    rendered: dict[str, str] = json.loads(answer)
    return {name.removeprefix("atelier/"): text for name, text in sorted(rendered.items()) if text.strip()}


def render(values: Mapping[str, Any] | None = None, **options: str) -> list[Object]:
    texts = render_text(values, **options)
    return [
        each
        for name, text in texts.items()
        if name.endswith(".yaml")
        for each in yaml.load_all(text, Loader=_Loader)
        if each is not None
    ]


def example(name: str) -> Object:
    document: Object = yaml.safe_load((CHART / "examples" / f"{name}.yaml").read_text())
    return document


def one(objects: list[Object], kind: str, name: str | None = None) -> Object:
    found = [o for o in objects if o["kind"] == kind and name in (None, o["metadata"]["name"])]
    assert len(found) == 1, f"{len(found)} of {kind} {name or ''}"
    return found[0]


def pod_templates(objects: list[Object]) -> Iterator[tuple[str, Object]]:
    """Every pod of the release: (where, {"metadata", "spec"}), Ray's included."""
    for each in objects:
        where = f"{each['kind']}/{each['metadata']['name']}"
        if each["kind"] == "Pod":
            yield where, each
        elif each["kind"] in ("Deployment", "Job"):
            yield where, each["spec"]["template"]
        elif each["kind"] == "CronJob":
            yield where, each["spec"]["jobTemplate"]["spec"]["template"]
        elif each["kind"] == "RayService":
            cluster = each["spec"]["rayClusterConfig"]
            yield f"{where}/head", cluster["headGroupSpec"]["template"]
            for group in cluster.get("workerGroupSpecs", []):
                yield f"{where}/{group['groupName']}", group["template"]


def containers(pod: Object) -> list[Object]:
    spec = pod["spec"]
    return [*spec.get("initContainers", []), *spec["containers"]]


def merged(*layers: Mapping[str, Any]) -> Object:
    """Values laid over one another as Helm lays files: maps are merged, everything else is replaced."""
    result: Object = {}
    for layer in layers:
        for key, value in layer.items():
            if isinstance(value, Mapping) and isinstance(result.get(key), Mapping):
                result[key] = merged(result[key], value)
            else:
                result[key] = value
    return result

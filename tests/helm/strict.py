"""Validates rendered objects: core kinds with kubernetes-validate, custom resources with strict CRD schemas.

The CRD schemas are read from the shared folder; tests that need them are skipped where it is absent.
"""

import json
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import cel
import jsonschema_rs
import pytest
from kubernetes_validate import utils

from tests.helm.rendering import REPOSITORY, Object

SCHEMAS = {
    "RayService": "rayservice-v1-strict",
    "PodMonitor": "podmonitor_v1",
    "ServiceMonitor": "servicemonitor_v1",
    "PrometheusRule": "prometheusrule_v1",
    "Gateway": "gateway_v1",
    "HTTPRoute": "httproute_v1",
}


def schema_folder() -> Path:
    """The folder of CRD schemas, or a skip that says where it was looked for."""
    root = Path(os.environ.get("ATELIER_SHARED", REPOSITORY.parent / "shared"))
    if not (root / "k8s").is_dir():
        pytest.skip(f"no CRD schemas in {root / 'k8s'}; set ATELIER_SHARED to the folder that holds k8s/")
    return root / "k8s"


def problems(each: Object, kube_version: str = "1.31") -> list[str]:
    """What an API server with these CRDs would refuse, one line each; empty when nothing."""
    if each["kind"] not in SCHEMAS:
        return list(_core_problems(json.dumps(each, sort_keys=True), kube_version))
    return list(_custom_problems(json.dumps(each, sort_keys=True)))


@cache
def _core_problems(text: str, kube_version: str) -> tuple[str, ...]:
    each = json.loads(text)
    validator = _core_validator(each["kind"], each["apiVersion"], kube_version)
    return tuple(f"{'.'.join(map(str, e.instance_path))}: {e.message}" for e in validator.iter_errors(each))


@cache
def _core_validator(kind: str, api_version: str, kube_version: str) -> Any:
    """The strict schema that kubernetes-validate ships, compiled: its own validate() reads it anew."""
    group, _, version = api_version.rpartition("/")
    name = "-".join(part for part in (kind.lower(), group.split(".")[0], version) if part)
    return jsonschema_rs.Draft202012Validator(
        _schema_file(f"{name}.json", kube_version),
        base_uri="kubernetes:///object.json",
        retriever=lambda uri: _schema_file(uri.rsplit("/", 1)[-1], kube_version),
    )


@cache
def _schema_file(name: str, kube_version: str) -> Any:
    release = next(v for v in utils.all_versions() if v == kube_version or v.startswith(f"{kube_version}."))
    return utils.schema_contents(f"kubernetes-json-schema/v{release}-local-strict/{name}", kube_version)


@cache
def _custom_problems(text: str) -> tuple[str, ...]:
    each = json.loads(text)
    schema, validator = _validator(each["kind"])
    found = [f"{'.'.join(map(str, e.instance_path))}: {e.message}" for e in validator.iter_errors(each)]
    complete = _with_defaults(schema, each)
    return (*found, *(f"{path}: {rule}" for path, rule in _cel_failures(schema, complete, "")))


@cache
def _validator(kind: str) -> tuple[dict[str, Any], Any]:
    schema = json.loads((schema_folder() / f"{SCHEMAS[kind]}.schema.json").read_text())
    return schema, jsonschema_rs.validator_for(schema)


def _with_defaults(schema: Any, value: Any) -> Any:
    """As the API server stores it: defaults come before rules."""
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        missing = {k: s["default"] for k, s in properties.items() if k not in value and "default" in s}
        return {k: _with_defaults(properties.get(k, {}), v) for k, v in {**missing, **value}.items()}
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        return [_with_defaults(schema["items"], item) for item in value]
    return value


def _cel_failures(schema: Any, value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Runs the CEL rules of a CRD on a new object: rules about oldSelf hold by definition."""
    for rule in schema.get("x-kubernetes-validations", []):
        text = rule["rule"]
        if "oldSelf" not in text and not _holds(text, value):
            yield path, rule.get("message", text)
    if isinstance(value, dict):
        for name, child in schema.get("properties", {}).items():
            if name in value:
                yield from _cel_failures(child, value[name], f"{path}.{name}")
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        for index, item in enumerate(value):
            yield from _cel_failures(schema["items"], item, f"{path}[{index}]")


def _holds(rule: str, value: Any) -> bool:
    """CEL errors count as false, as in the API server."""
    try:
        return bool(cel.evaluate(rule, {"self": _escaped(value)}))
    except (TypeError, KeyError, ValueError, RuntimeError):
        return False


def _escaped(value: Any) -> Any:
    """Kubernetes lets rules name a field that is a reserved word of CEL with underscores around it."""
    if isinstance(value, dict):
        return {"__namespace__" if k == "namespace" else k: _escaped(v) for k, v in value.items()}
    return [_escaped(each) for each in value] if isinstance(value, list) else value

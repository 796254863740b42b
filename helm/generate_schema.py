"""Writes helm/atelier/values.schema.json: the hand-written base plus what mirrors the application's config.

Run from the repository's root: `python -m helm.generate_schema`. With --check it writes nothing and fails
when the committed file is out of date. Knows the application's models, nothing of what templates do.
"""

import json
import sys
from pathlib import Path
from typing import Any

import yaml

from routing.schema import PolicySpec
from serve.config import AppConfig

Schema = dict[str, Any]

FOLDER = Path(__file__).parent
BASE = FOLDER / "values.schema.base.yaml"
TARGET = FOLDER / "atelier" / "values.schema.json"

# Parts of AppConfig that have a place of their own in the values, or that the chart sets.
_ELSEWHERE = ("models", "policy")


def generate() -> Schema:
    schema: Schema = yaml.safe_load(BASE.read_text())
    app = AppConfig.model_json_schema()
    definitions: dict[str, Schema] = {name: _readable(each) for name, each in app.pop("$defs").items()}
    definitions["models"] = _removable(_readable(app["properties"]["models"]))
    definitions["autoscaling"] = {
        "type": "object",
        "description": "Autoscaling by model name, laid over models.<name>.autoscaling",
        "additionalProperties": {"$ref": "#/$defs/Autoscaling"},
    }
    definitions["app"] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            name: _readable(each) for name, each in app["properties"].items() if name not in _ELSEWHERE
        },
    }
    definitions["policyDocument"] = _policy_schema(definitions)
    schema["$defs"] = {**schema["$defs"], **definitions}
    _drop_unused(schema)
    closed: Schema = _closed(schema)
    return closed


def _policy_schema(definitions: dict[str, Schema]) -> Schema:
    policy = PolicySpec.model_json_schema()
    for name, each in policy.pop("$defs").items():
        if name in definitions:
            raise ValueError(f"two schemas are named {name}: rename one of the models")
        definitions[name] = _readable(each)
    readable: Schema = _readable(policy)
    return readable


def _removable(models: Schema) -> Schema:
    """A values file removes a model of another one by null, which Helm drops before it renders."""
    models.pop("minProperties", None)
    return {**models, "minProperties": 1}


def _readable(node: Any) -> Any:
    """The same schema with unions that say what is wrong, and without what only Python needs.

    pydantic writes a discriminated union as `oneOf`, whose errors list every alternative; `if kind is X then
    check as X` reports only the one that was meant.
    """
    if isinstance(node, list):
        return [_readable(each) for each in node]
    if not isinstance(node, dict):
        return node
    if "discriminator" in node:
        return _switch(node["discriminator"])
    kept = {
        key: value
        for key, value in node.items()
        if key != "default" and not (key == "title" and isinstance(value, str))
    }
    return {key: _readable_child(key, value) for key, value in kept.items()}


def _readable_child(key: str, value: Any) -> Any:
    if key == "enum":  # typing remembers equal Literals whose order differs: which comes is up to the imports
        return sorted(value, key=str)
    if key == "properties":  # its keys are names of values, "default" and "title" among them
        return {name: _readable(each) for name, each in value.items()}
    return _readable(value)


def _switch(discriminator: Schema) -> Schema:
    name, mapping = discriminator["propertyName"], discriminator["mapping"]
    return {
        "type": "object",
        "required": [name],
        "properties": {name: {"enum": sorted(mapping)}},
        "allOf": [
            {
                "if": {"properties": {name: {"const": value}}, "required": [name]},
                "then": {"$ref": reference},
            }
            for value, reference in sorted(mapping.items())
        ],
    }


def _closed(node: Any, parent: str | None = None) -> Any:
    """Adds additionalProperties: false wherever an object lists its properties and does not say otherwise."""
    if isinstance(node, list):
        return [_closed(each, parent) for each in node]
    if not isinstance(node, dict):
        return node
    closed = {
        key: {name: _closed(each) for name, each in value.items()}
        if key in ("properties", "$defs")
        else _closed(value, key)
        for key, value in node.items()
    }
    listed = "properties" in node or "patternProperties" in node
    lists_all = listed and "allOf" not in node and parent not in ("if", "oneOf", "anyOf", "not")
    if lists_all and node.get("type") == "object":
        closed.setdefault("additionalProperties", False)
    return closed


def _drop_unused(schema: Schema) -> None:
    """Removes definitions that nothing refers to any more (repeatedly: they refer to one another)."""
    while True:
        text = json.dumps(schema)
        unused = [name for name in schema["$defs"] if f'"#/$defs/{name}"' not in text]
        if not unused:
            return
        for name in unused:
            del schema["$defs"][name]


def text() -> str:
    return json.dumps(generate(), indent=2, ensure_ascii=False) + "\n"


def main(arguments: list[str]) -> int:
    new = text()
    if "--check" in arguments:
        if TARGET.is_file() and TARGET.read_text() == new:
            return 0
        print(f"{TARGET} is out of date: run `python -m helm.generate_schema`", file=sys.stderr)
        return 1
    TARGET.write_text(new)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The policy file's JSON Schema, for editors: completion and red lines while typing.

It knows shapes and ranges, as schema.py does. That models exist, that patterns are RE2 and that chains make
sense is found by `load_policy` only. Deliberately not tied to one deployment's models.
"""

from typing import Any

from routing.schema import PolicySpec


def policy_json_schema() -> dict[str, Any]:
    """JSON Schema draft 2020-12."""
    schema = PolicySpec.model_json_schema(mode="validation")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "Atelier routing policy",
    }

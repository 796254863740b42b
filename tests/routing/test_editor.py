import json

import jsonschema_rs
import pytest
import yaml

from routing.editor import policy_json_schema
from routing.policy import PolicyError
from tests.routing.builders import SEED_POLICY, policy
from tests.routing.test_policy import FULL_POLICY

VALIDATOR = jsonschema_rs.Draft202012Validator(policy_json_schema())


@pytest.mark.parametrize(
    "text", [SEED_POLICY, FULL_POLICY, "default: {model: fast, fallback: [fast, {stages: [fast]}]}"]
)
def test_what_loads_is_valid(text):
    policy(text)
    VALIDATOR.validate(yaml.safe_load(text))


@pytest.mark.parametrize(
    "text",
    [
        "default: {model: fast, modle: x}",
        "default: {model: 3}",
        "default: {model: fast, max_latency_ms: -1}",
        "default: {model: fast, fallback: fast}",
        "default: {model: fast, match: {size: 3x}}",
        "aliases: {a: 3}",
        "tenants: {a: {weight: 0}}",
        "model_routing: {}",
    ],
)
def test_what_is_invalid_does_not_load_either(text):
    assert not VALIDATOR.is_valid(yaml.safe_load(text))
    with pytest.raises(PolicyError):
        policy(text)


def test_it_is_json_and_says_what_the_keys_mean():
    schema = json.loads(json.dumps(policy_json_schema()))
    assert schema["$schema"].endswith("2020-12/schema")
    assert "first that matches decides" in schema["description"]

"""docs/policy.md is kept true: its YAML loads, and it names what the code has."""

import re
from pathlib import Path

import pytest
import yaml

from routing.cases import Expectation, load_cases, run_cases
from routing.decide import PolicyEngine
from routing.policy import load_policy
from routing.schema import Match, PolicySpec, RouteSpec, TenantSpec
from routing.types import Capability, ModelFacts

DOCS = Path(__file__).parents[2] / "docs" / "policy.md"
TEXT = DOCS.read_text("utf-8")
BLOCKS = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
ANYTHING = frozenset(Capability)
_NAMES = """typography_focused creative_highfidelity upscale_2x sd_turbo sd_lightning hosted_flux colour_fixer
flux_fast fast_draft"""
MODELS = {name: ModelFacts(name, ANYTHING) for name in _NAMES.split()}


def whole_policy() -> str:
    """The document's pieces put together: the seed, the route with all that is said of it, and the rest."""

    def block(word: str) -> str:
        return next(block for block in BLOCKS if word in block)

    badges = "  - {name: badges, pattern: ui-badge, model: typography_focused, max_latency_ms: 300}\n"
    route = block("quality:  ") + block("experiment:") + block("limits: {")
    return f"model_routing:\n{badges}{route}{block('tenants:')}{block('aliases:')}"


def test_every_yaml_block_is_yaml():
    for block in BLOCKS:
        yaml.safe_load(block)


def test_the_document_put_together_is_a_policy():
    policy = load_policy(whole_policy(), source="docs", models=MODELS)
    assert [route.name for route in policy.routes] == ["badges", "posters"]
    assert len(policy.routes[1].arms) == 2


def test_its_cases_pass():
    engine = PolicyEngine(load_policy(whole_policy(), source="docs", models=MODELS), MODELS)
    cases = load_cases(next(block for block in BLOCKS if block.startswith("cases:")), "docs")
    first, second = run_cases(engine, cases)
    assert first.mismatches == ()
    assert second.mismatches == ()


@pytest.mark.parametrize("model", [PolicySpec, RouteSpec, Match, TenantSpec, Expectation])
def test_every_key_is_documented(model):
    assert [name for name in model.model_fields if f"{name}" not in TEXT] == []

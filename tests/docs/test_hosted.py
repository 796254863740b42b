"""docs/hosted.md agrees with the code."""

import yaml

from deployments.hosted.openai_models import RETIRED
from routing.policy import load_policy
from routing.types import Outcome
from serve.config import model_facts, parse_config
from tests.docs.pages import blocks, names, read, rows, section

TEXT = read("docs/hosted.md")
MONTHS = {"05": "May", "10": "October"}


def test_the_example_is_a_config_with_its_policy() -> None:
    config = parse_config(yaml.safe_load(blocks(TEXT, "yaml")[0]))
    assert config.policy.text is not None
    policy = load_policy(config.policy.text, source="policy", models=model_facts(config))
    assert [route.name for route in policy.routes] == ["titles"]
    systems = {(spec.kind, getattr(spec, "quality", None)) for spec in config.models.values()}
    assert {("openai_images", "standard"), ("openai_images", "hd"), ("ideogram", None)} <= systems


def test_what_things_end_as_are_outcomes() -> None:
    outcomes = {names(row[1])[0] for row in rows(section(TEXT, "What things end as").own)}
    assert outcomes <= {outcome.value for outcome in Outcome}
    assert len(outcomes) == 7


def test_the_alias_is_that_of_the_example() -> None:
    alias = yaml.safe_load(blocks(TEXT, "yaml")[1])["aliases"]
    assert alias == yaml.safe_load(read("examples/policy.yaml"))["aliases"]


def test_models_that_were_shut_down_are_dated() -> None:
    said = " ".join(section(TEXT, "Retired models").own.split())
    for model, date in RETIRED.items():
        year, month, day = date.split("-")
        assert f"{int(day)} {MONTHS[month]} {year}" in said, model

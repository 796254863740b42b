from pathlib import Path

import pytest

from routing.types import Capability
from serve.config import ConfigError, load_config, model_facts, parse_config
from tests.serve.gateways import SEED_POLICY

ECHO = {"kind": "echo"}


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "app.yaml").write_text("models: {m: {kind: echo}}\npolicy: {path: ../policy.yaml}\n")
    assert load_config(tmp_path / "app.yaml").policy.path == str((tmp_path.parent / "policy.yaml").resolve())


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"model": {}}, "model"),
        ({"models": {}}, "models"),
        ({"models": {"Bad Name": ECHO}}, "models.Bad Name"),
        ({"models": {"m": {"kind": "unheard-of"}}}, "models.m"),
        ({"models": {"m": {**ECHO, "num_gpu": 1}}}, "models.m.echo.num_gpu"),
        ({"models": {"m": {**ECHO, "num_gpus": 1.5}}}, "neither a fraction of one GPU nor a whole number"),
        ({"policy": {}}, "exactly one of path, text and config_map"),
        ({"policy": {"text": "a", "path": "b"}}, "exactly one of path, text and config_map"),
        ({"limits": {"max_n": 0}}, "limits.max_n"),
    ],
)
def test_what_is_wrong_is_named(change: dict[str, object], where: str) -> None:
    document = {"models": {"m": ECHO}, "policy": {"text": SEED_POLICY}, **change}
    with pytest.raises(ConfigError) as caught:
        parse_config(document, "app.yaml")
    assert where in str(caught.value)
    assert str(caught.value).startswith("app.yaml: ")


@pytest.mark.parametrize("text", ["[]", "models: [", "text"])
def test_what_is_not_a_config_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "app.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"app\.yaml"):
        load_config(tmp_path / "app.yaml")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path / "none.yaml")


def test_facts_say_what_each_kind_can() -> None:
    config = parse_config(
        {
            "models": {
                "painter": {
                    "kind": "diffusion",
                    "weights": "./w",
                    "default_steps": 8,
                    "num_gpus": 0.5,
                    "pricing": {"usd_per_gpu_hour": 3.6},
                },
                "setter": {"kind": "typesetter"},
                "grower": {"kind": "upscaler", "factor": 4},
            },
            "policy": {"text": SEED_POLICY},
        }
    )
    facts = model_facts(config)
    assert facts["painter"].capabilities >= {Capability.GENERATE, Capability.EDIT}
    assert facts["painter"].usd_per_gpu_s == pytest.approx(0.0005)
    assert facts["painter"].default_steps == 8
    assert Capability.TYPESET in facts["setter"].capabilities
    assert (facts["grower"].capabilities, facts["grower"].scale) == ({Capability.UPSCALE}, 4)

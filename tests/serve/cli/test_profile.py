from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from deployments.diffusion.tiny import build_tiny
from deployments.engine.profile import read_profile
from serve.cli.profile import profile


@pytest.fixture
def config(tmp_path: Path) -> str:
    model = {
        "kind": "diffusion",
        "weights": str(tmp_path / "tiny"),
        "default_width": 64,
        "default_height": 64,
    }
    file = tmp_path / "config.yaml"
    policy = "model_routing: [{pattern: x, model: painter}]"
    file.write_text(yaml.safe_dump({"models": {"painter": model}, "policy": {"text": policy}}))
    return str(file)


@pytest.mark.slow
def test_what_is_written_can_be_read_back(config: str, tmp_path: Path) -> None:
    build_tiny("sd", tmp_path / "tiny")
    out = tmp_path / "profile.json"
    result = CliRunner().invoke(
        profile, ["painter", "--config", config, "--out", str(out), "--batch", "1", "--batch", "2"]
    )
    assert result.exit_code == 0, result.output
    assert "64x64: a step takes" in result.output
    assert read_profile(out).model == "painter"


def test_bad_arguments_are_named(config: str, tmp_path: Path) -> None:
    out = str(tmp_path / "profile.json")
    unknown = CliRunner().invoke(profile, ["nobody", "--config", config, "--out", out])
    assert unknown.exit_code == 1
    assert "'nobody'; it has painter" in unknown.output
    size = CliRunner().invoke(profile, ["painter", "--config", config, "--out", out, "--size", "big"])
    assert size.exit_code == 2
    assert "'big' is not WIDTHxHEIGHT" in size.output


def test_trouble_is_told_in_a_line(config: str, tmp_path: Path) -> None:
    nowhere = CliRunner().invoke(profile, ["painter", "--config", config, "--out", str(tmp_path / "a" / "b")])
    assert nowhere.exit_code == 1
    assert nowhere.output == f"Error: {tmp_path / 'a'} is not a folder: make it first\n"
    no_weights = CliRunner().invoke(profile, ["painter", "--config", config, "--out", str(tmp_path / "p")])
    assert no_weights.exit_code == 1
    assert "Error: painter: weights" in no_weights.output
    assert "the folder must hold model_index.json" in no_weights.output

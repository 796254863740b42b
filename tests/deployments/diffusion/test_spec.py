from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from deployments.diffusion.spec import DiffusionSpec


def spec(**changes: Any) -> DiffusionSpec:
    return DiffusionSpec(**{"kind": "diffusion", "weights": "/models/some", **changes})


def test_a_hub_id_needs_a_pinned_revision() -> None:
    with pytest.raises(ValidationError, match="set revision to a commit"):
        spec(weights="stabilityai/sdxl-turbo")
    assert spec(weights="stabilityai/sdxl-turbo", revision="71153311d3db").revision == "71153311d3db"


@pytest.mark.parametrize(
    "weights", ["/models/some", "./some", "../models/some", "~/some", "some/deep/folder", "some"]
)
def test_a_folder_needs_none(weights: str) -> None:
    assert spec(weights=weights).weights == weights


def test_a_folder_that_exists_is_no_hub_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "models" / "tiny").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert spec(weights="models/tiny").revision is None


def test_adapters_are_pinned_too() -> None:
    with pytest.raises(ValidationError, match="set revision to a commit"):
        spec(loras={"pixel": {"weights": "someone/pixel-art"}})


@pytest.mark.parametrize(
    "changes",
    [{"steady_width": 9}, {"default_steps": 101}, {"dtype": "int8"}, {"stepz": 3}, {"execution": "fast"}],
)
def test_what_cannot_be_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        spec(**changes)

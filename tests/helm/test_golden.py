"""Renders are committed: a change of the chart shows in review as a change of what would be applied.

UPDATE_GOLDEN=1 rewrites the files.
"""

import os
from pathlib import Path

import pytest

from tests.helm.rendering import EXAMPLES, example, render_text

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("name", ["default", *(path.stem for path in EXAMPLES)])
def test_render_is_the_committed_one(name: str) -> None:
    texts = render_text({} if name == "default" else example(name))
    rendered = "".join(f"# {template}\n{text.strip()}\n" for template, text in texts.items())
    path = GOLDEN / f"{name}.yaml"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(rendered)
    assert path.is_file(), f"{path} is missing: run with UPDATE_GOLDEN=1"
    assert rendered == path.read_text(), f"{path.name} differs: run with UPDATE_GOLDEN=1 and review"


def test_no_golden_file_is_left_over() -> None:
    known = {"default.yaml", *(path.name for path in EXAMPLES)}
    assert {path.name for path in GOLDEN.glob("*")} == known

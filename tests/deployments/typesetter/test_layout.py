import json
import re
from importlib import resources
from pathlib import Path

import pytest
from pydantic import ValidationError

from deployments.typesetter.fonts import BUNDLED_FAMILIES
from deployments.typesetter.icons import icon_names
from deployments.typesetter.layout import Anchor, Corner, Kind, Layout, Role

DOCUMENT = (Path(__file__).parents[3] / "docs" / "typesetter.md").read_text(encoding="utf-8")


def test_the_published_schema_is_that_of_the_code() -> None:
    """Written by `python -m deployments.typesetter.layout > deployments/typesetter/layout.schema.json`."""
    published = resources.files("deployments.typesetter").joinpath("layout.schema.json").read_text("utf-8")
    assert json.loads(published) == Layout.model_json_schema()


@pytest.mark.parametrize("names", [Kind, Corner, Anchor, Role])
def test_every_choice_is_documented(names: type) -> None:
    for name in names:
        assert f"`{name.value}`" in DOCUMENT


def test_every_field_font_and_icon_is_documented() -> None:
    for name in (*Layout.model_fields, *BUNDLED_FAMILIES):
        assert f"`{name}`" in DOCUMENT, name
    listed = re.search(r"Icons: (.+?)\n\n", DOCUMENT, re.DOTALL)
    assert listed is not None
    assert set(re.findall(r"`([^`]+)`", listed.group(1))) == set(icon_names())


def test_examples_in_the_document_are_valid() -> None:
    examples = re.findall(r"```json\n(.+?)```", DOCUMENT, re.DOTALL)
    assert examples
    for example in examples:
        Layout.model_validate(json.loads(example)["atelier"]["layout"])


def test_unknown_keys_are_refused() -> None:
    with pytest.raises(ValidationError):
        Layout.model_validate({"lines": [{"text": "x", "size": 3}]})

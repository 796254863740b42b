import pytest
from pydantic import TypeAdapter, ValidationError

from deployments.catalog import ModelSpec, build_model

SPECS = TypeAdapter(ModelSpec)


@pytest.mark.parametrize("kind", ["typesetter", "upscaler", "echo"])
def test_a_kind_s_spec_builds_its_model(kind: str) -> None:
    model = build_model("m", SPECS.validate_python({"kind": kind}))
    assert type(model).__name__.lower().startswith(kind)


def test_an_unknown_kind_names_the_known_ones() -> None:
    with pytest.raises(ValidationError, match="typesetter"):
        SPECS.validate_python({"kind": "oracle"})

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from deployments.catalog import ModelSpec

SPECS: TypeAdapter[Any] = TypeAdapter(ModelSpec)
OPENAI = {"kind": "openai_images", "model": "gpt-image-2"}
DALL_E = {"kind": "openai_images", "model": "dall-e-3"}
IDEOGRAM = {"kind": "ideogram", "model": "V_3"}
OTHER = {"kind": "openai_compatible", "model": "m", "base_url": "http://vllm:8000/v1"}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (OPENAI | {"model": "dall-e-2"}, "no image model known here .*use kind openai_compatible"),
        (OPENAI | {"quality": "hd"}, "gpt-image-2 has the qualities auto, low, medium, high, not hd"),
        (OPENAI | {"quality": "xhigh"}, "gpt-image-2 has the qualities"),
        (OPENAI | {"style": "vivid"}, "no style: describe it in the prompt"),
        (DALL_E | {"quality": "high"}, "dall-e-3 has the qualities standard, hd"),
        (DALL_E | {"moderation": "low"}, "no moderation setting"),
        (DALL_E | {"default_width": 800}, "default size cannot be made: the model makes 1024x1024"),
        (OPENAI | {"base_url": "http://api.example.com/v1"}, "use https"),
        (OPENAI | {"base_url": "api.openai.com"}, "write a URL"),
        (OPENAI | {"base_url": "https://sk-1@api.openai.com/v1"}, "keys belong to api_key"),
        (OPENAI | {"base_url": "https://api.openai.com/v1?key=sk-1"}, "keys belong to api_key"),
        (OPENAI | {"num_gpus": 1}, "num_gpus must be 0"),
        (OPENAI | {"api_key": "sk-1"}, "KeySource"),
        (IDEOGRAM | {"model": "V_2"}, "V_1_TURBO"),
        (IDEOGRAM | {"model": "V_1", "rendering_speed": "TURBO"}, "V_1 has no rendering_speed"),
        (IDEOGRAM | {"model": "V_1", "style_type": "DESIGN"}, "V_1 has no style_type"),
        (IDEOGRAM | {"style_type": "ANIME"}, "style_type"),
        (IDEOGRAM | {"result_hosts": ["https://x"]}, "result_hosts"),
        (OTHER | {"deterministic": True}, "name the dialect"),
        (OTHER | {"makes": ["512"]}, "makes"),
        (OTHER | {"makes": ["1024x1024"], "max_pixels": 5}, "makes or max_pixels"),
    ],
)
def test_what_a_provider_does_not_offer_is_refused_with_the_config(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        SPECS.validate_python(fields)


def test_an_error_of_the_config_does_not_show_a_key() -> None:
    from serve.config import ConfigError, parse_config

    for fields in (
        OPENAI | {"api_key": "sk-live-123"},
        OPENAI | {"api_key": {"env": "sk-live-123"}},
        OPENAI | {"key": "sk-live-123"},
        OPENAI | {"base_url": "https://sk-live-123@api.openai.com/v1"},
    ):
        with pytest.raises(ConfigError) as caught:
            parse_config({"models": {"m": fields}, "policy": {"text": "default: {model: m}"}})
        assert "sk-live-123" not in str(caught.value)


@pytest.mark.parametrize("fields", [OPENAI, DALL_E, IDEOGRAM, OTHER, IDEOGRAM | {"model": "V_1"}])
def test_defaults_are_usable(fields: dict[str, Any]) -> None:
    spec = SPECS.validate_python(fields)
    assert spec.size_problem(spec.default_width, spec.default_height) is None
    assert spec.num_gpus == 0


def test_keys_come_from_where_each_provider_s_own_tools_look() -> None:
    assert SPECS.validate_python(OPENAI).api_key.env == "OPENAI_API_KEY"
    assert SPECS.validate_python(IDEOGRAM).api_key.env == "IDEOGRAM_API_KEY"
    assert SPECS.validate_python(OTHER).api_key is None


def test_loopback_may_be_plain() -> None:
    assert SPECS.validate_python(OPENAI | {"base_url": "http://127.0.0.1:8/v1/"}).base_url.endswith("/v1")

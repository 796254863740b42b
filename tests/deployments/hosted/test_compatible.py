"""Servers that speak OpenAI's API and more."""

from typing import Any

import pytest

from deployments.errors import ModelFailed, Unsupported
from deployments.types import EncodedImage, Encoding
from tests.deployments.hosted.building import compatible, request
from tests.deployments.hosted.openai_standin import LINK, OpenAIStandIn

COMMON = {"model": "m", "prompt": "a fox", "n": 1, "size": "640x384", "response_format": "b64_json"}
DIFFUSION = {"seed": 1, "num_inference_steps": 8, "guidance_scale": 3.5, "negative_prompt": "fog"}


@pytest.mark.parametrize("dialect", ["vllm_omni", "sglang"])
async def test_a_diffusion_server_takes_steps_and_seeds(other_server: OpenAIStandIn, dialect: str) -> None:
    model = compatible(other_server, dialect=dialect, parameters={"true_cfg_scale": 4.0})
    asked: dict[str, Any] = {"steps": 8, "guidance_scale": 3.5, "negative_prompt": "fog"}
    result = await model.render(request(640, 384, **asked))
    assert other_server.calls[0].fields == {**COMMON, **DIFFUSION, "true_cfg_scale": 4.0}
    assert result.receipt.seed == 1
    await model.close()


async def test_openai_s_own_fields_and_no_other(other_server: OpenAIStandIn) -> None:
    model = compatible(other_server)
    result = await model.render(request(640, 384))
    assert other_server.calls[0].fields == COMMON
    assert result.receipt.seed is None
    for fields in (
        {"steps": 8},
        {"guidance_scale": 3.5},
        {"negative_prompt": "fog"},
        {"lora": "x"},
        {"options": {"layout": {}}},
        {"encoding": Encoding(transparent=True)},
    ):
        with pytest.raises(Unsupported, match="has nothing that corresponds to"):
            await model.render(request(**fields))
    assert len(other_server.calls) == 1
    await model.close()


async def test_another_atelier_is_told_how_long_it_may_take(other_server: OpenAIStandIn) -> None:
    model = compatible(other_server, dialect="atelier", deterministic=True)
    await model.render(
        request(640, 384, budget_s=9, deterministic=True, steps=8, encoding=Encoding(transparent=True))
    )
    fields = dict(other_server.calls[0].fields)
    options = fields.pop("atelier")
    assert fields == {**COMMON, "background": "transparent"}
    assert 8000 < options.pop("max_latency_ms") < 9000
    assert options == {"seed": 1, "steps": 8, "priority": "interactive", "deterministic": True}
    await model.close()


async def test_a_link_to_the_server_itself_is_followed(other_server: OpenAIStandIn) -> None:
    """Also where the server is in a private network: the config's author named it."""
    other_server.behaviours.append(LINK)
    model = compatible(other_server)
    result = await model.render(request(640, 384))
    assert isinstance(result.image, EncodedImage)
    assert (result.image.width, result.image.height) == (640, 384)
    await model.close()


async def test_a_link_to_elsewhere_is_not(other_server: OpenAIStandIn, openai_api: OpenAIStandIn) -> None:
    other_server.behaviours.append(LINK)
    model = compatible(other_server)
    other_server.origin, own = openai_api.origin, other_server.origin
    with pytest.raises(ModelFailed, match="not a plain https link"):
        await model.render(request(640, 384))
    other_server.origin = own
    await model.close()


async def test_no_organization_of_openai_s_is_told_to_others(
    other_server: OpenAIStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org-secret")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-secret")
    model = compatible(other_server)
    await model.render(request(640, 384))
    assert "secret" not in str(dict(other_server.calls[0].headers))
    await model.close()


async def test_sizes_that_the_server_makes(other_server: OpenAIStandIn) -> None:
    model = compatible(other_server, makes=["1024x1024", "512x512"])
    await model.render(request(300, 300))
    assert other_server.calls[0].fields["size"] == "512x512"
    with pytest.raises(Unsupported, match="makes 1024x1024, 512x512 and smaller"):
        await model.render(request(300, 301 * 2))
    await model.close()

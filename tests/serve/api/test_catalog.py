import openai
import pytest

from tests.serve.gateways import SEED_POLICY, gateway, official


async def test_models_and_aliases_are_listed() -> None:
    client = official(gateway(SEED_POLICY + "aliases: {dall-e-3: {model: creative_highfidelity}}\n"))
    names = [model.id async for model in client.models.list()]
    assert names == ["auto", "typography_focused", "creative_highfidelity", "upscale_2x", "dall-e-3"]
    assert (await client.models.retrieve("dall-e-3")).id == "dall-e-3"
    with pytest.raises(openai.NotFoundError) as caught:
        await client.models.retrieve("nobody")
    assert caught.value.code == "model_not_found"

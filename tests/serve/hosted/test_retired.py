"""Clients of a retired model are served by models of ours, at two quality rungs."""

from pathlib import Path
from typing import Any

import pytest

from tests.deployments.hosted.openai_standin import GONE, OpenAIStandIn
from tests.serve.gateways import gateway, official
from tests.serve.hosted.gateways import openai_model, served

EXAMPLE = (Path(__file__).parents[3] / "examples" / "policy.yaml").read_text()
MODELS: dict[str, Any] = {
    "typography_focused": {"kind": "echo", "capability": "typeset"},
    "creative_highfidelity": {"kind": "echo", "default_width": 64, "default_height": 64},
    "upscale_2x": {"kind": "echo", "capability": "upscale", "scale": 2},
}


@pytest.mark.parametrize(
    ("quality", "model", "first_size"),
    [
        ("standard", "creative_highfidelity", (1024, 1024)),
        ("hd", "creative_highfidelity+upscale_2x", (512, 512)),
        (None, "creative_highfidelity", (1024, 1024)),
    ],
)
async def test_the_example_s_alias(quality: str | None, model: str, first_size: tuple[int, int]) -> None:
    """What a client of DALL·E 3 sends, unchanged."""
    asked: dict[str, Any] = {} if quality is None else {"quality": quality}
    async with official(gateway(EXAMPLE, MODELS)) as client:
        answer = await client.images.generate(
            model="dall-e-3",
            prompt="a lighthouse",
            size="1024x1024",
            style="vivid",
            response_format="b64_json",
            **asked,
        )
    assert answer.size == "1024x1024"
    assert answer.model_extra is not None
    receipt = answer.model_extra["atelier"]
    assert (receipt["route"], receipt["model"]) == ("dalle-clients", model)
    assert receipt["substituted"] is False  # a rung that was asked for is no substitute
    stage = receipt["images"][0]["stages"][0]
    assert (stage["width"], stage["height"]) == first_size


async def test_a_route_of_a_retired_model_goes_on_with_its_fallback(openai_api: OpenAIStandIn) -> None:
    """The breaker opens at once, so that one request finds out and the others do not ask."""
    openai_api.behaviours.append(GONE)
    models = {"dalle": openai_model(openai_api, "dall-e-3", expected_ms=10), "own": {"kind": "echo"}}
    policy = "default: {model: dalle, fallback: [own], max_latency_ms: 20000}"
    async with served(policy, models) as service:
        for _ in range(3):
            await service.client.images.generate(prompt="a lighthouse", size="64x64")
        first, *later = service.observed.receipts
    (substitution,) = first.images[0].substitutions
    assert (first.model, substitution.outcome) == ("own", "model_gone")
    assert substitution.reason == "OpenAI shut dall-e-3 down on 2026-05-12"
    assert [(each.model, each.images[0].substitutions) for each in later] == [("own", [])] * 2
    assert len(openai_api.calls) == 1

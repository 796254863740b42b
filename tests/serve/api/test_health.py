import pytest

from serve.gateway import Gateway
from tests.serve.gateways import gateway, http


async def polled(of: Gateway) -> Gateway:
    await of._poll_load()
    return of


async def test_alive_before_ready() -> None:
    async with http(gateway()) as client:
        assert (await client.get("/healthz")).status_code == 200
        waiting = await client.get("/readyz")
    assert waiting.status_code == 503
    assert waiting.json()["models_without_replica"] == ["creative_highfidelity", "typography_focused"]


async def test_ready_once_every_needed_model_answers() -> None:
    async with http(await polled(gateway())) as client:
        ready = await client.get("/readyz")
        fleet = (await client.get("/v1/fleet")).json()["models"]
    assert (ready.status_code, ready.json()["models_without_replica"]) == (200, [])
    assert fleet["upscale_2x"]["replicas"] == 1
    assert fleet["upscale_2x"]["breaker"] == "closed"


async def test_a_model_that_may_scale_to_zero_is_not_waited_for() -> None:
    asleep = {"kind": "echo", "autoscaling": {"min_replicas": 0, "max_replicas": 1}}
    of = gateway("model_routing: [{pattern: x, model: m}]", {"m": asleep})
    async with http(of) as client:
        assert (await client.get("/readyz")).status_code == 200


@pytest.mark.parametrize("path", ["/nowhere", "/v1/images"])
async def test_unknown_paths_are_openai_errors(path: str) -> None:
    async with http(gateway()) as client:
        answer = await client.get(path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")

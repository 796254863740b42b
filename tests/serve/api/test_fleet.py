from deployments.types import ModelLoad, RenderRequest, RenderResult
from serve.config import parse_config
from serve.gateway import Gateway
from tests.serve.gateways import MODELS, SEED_POLICY, gateway, http


class Replicated:
    """A model with two replicas that are at work."""

    name = "typography_focused"

    async def load_reports(self) -> list[ModelLoad]:
        return [
            ModelLoad(running=2, queued=3, wait_ms=40.0, memory_bytes=100, observed=1, overhead_ms=5.0),
            ModelLoad(running=1, queued=0, wait_ms=20.0, memory_bytes=50, observed=1, overhead_ms=7.0),
        ]


async def test_what_the_replicas_report_is_added_up() -> None:
    of = Gateway(
        parse_config({"models": dict(MODELS), "policy": {"text": SEED_POLICY}}),
        {"typography_focused": Replicated()},  # type: ignore[dict-item]
    )
    await of._poll_load()
    async with http(of) as client:
        models = (await client.get("/v1/fleet")).json()["models"]
    busy = models["typography_focused"]
    assert (busy["replicas"], busy["running"], busy["queued"], busy["memory_bytes"]) == (2, 3, 3, 150)
    assert busy["overhead_ms"] == 6.0
    assert 0 < busy["wait_ms"] <= 30.0
    assert models["creative_highfidelity"]["replicas"] == 0


async def test_a_model_that_keeps_failing_is_shown_with_an_open_breaker() -> None:
    async def fail(request: RenderRequest) -> RenderResult:
        raise RuntimeError

    async with http(gateway(renders={"creative_highfidelity": fail})) as client:
        for _ in range(6):
            await client.post("/v1/images/generations", json={"prompt": "a poster"})
        models = (await client.get("/v1/fleet")).json()["models"]
    assert models["creative_highfidelity"]["breaker"] == "open"
    assert models["typography_focused"]["breaker"] == "closed"

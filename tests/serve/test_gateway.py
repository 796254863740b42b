import asyncio

from tests.serve.gateways import gateway, http


async def test_the_lifespan_polls_the_models() -> None:
    of = gateway()
    async with of.app.router.lifespan_context(of.app), http(of) as client:
        for _ in range(50):  # the first round of the background tasks
            await asyncio.sleep(0)
        assert (await client.get("/readyz")).status_code == 200

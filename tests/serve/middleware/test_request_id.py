import pytest

from tests.serve.gateways import gateway, http


@pytest.mark.parametrize("given", ["mine-1", "a:b.c_d", "x" * 128])
async def test_a_caller_s_id_is_kept(given: str) -> None:
    async with http(gateway()) as client:
        answer = await client.get("/healthz", headers={"x-request-id": given})
    assert answer.headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", "x" * 129, "two words", "<script>", "é"])
async def test_what_could_hurt_a_log_is_replaced(given: str) -> None:
    async with http(gateway()) as client:
        answer = await client.get("/healthz", headers={"x-request-id": given.encode("latin-1")})
    assert answer.headers["x-request-id"].startswith("req_")


async def test_ids_differ() -> None:
    async with http(gateway()) as client:
        ids = {(await client.get("/healthz")).headers["x-request-id"] for _ in range(5)}
    assert len(ids) == 5

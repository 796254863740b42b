from tests.serve.gateways import SEED_POLICY, gateway, http


async def test_the_policy_in_force_is_described() -> None:
    async with http(gateway()) as client:
        policy = (await client.get("/v1/policy")).json()
    assert policy["route_count"] == 2
    assert policy["refused"] is None


async def test_the_way_back_is_one_call() -> None:
    of = gateway()
    store = of.dispatcher._policies
    first = store.current.version
    store.offer(SEED_POLICY + "default: {model: typography_focused}\n", "x", 1.0)
    assert store.current.version != first
    async with http(of) as client:
        answer = await client.post("/v1/policy/rollback", json={"version": first})
        unknown = await client.post("/v1/policy/rollback", json={"version": "no-such"})
    assert answer.json()["version"] == store.current.version == first
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "unknown_policy_version")

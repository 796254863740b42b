from tests.serve.gateways import gateway, http


async def test_fix_rates_are_counted_per_route() -> None:
    async with http(gateway()) as client:
        ids = []
        for _ in range(4):
            answer = await client.post("/v1/images/generations", json={"prompt": "a poster"})
            ids.append(answer.json()["atelier"]["request_id"])
        for receipt_id in ids[:3]:
            await client.post("/v1/feedback", json={"receipt_id": receipt_id, "verdict": "accepted"})
        said = {"receipt_id": ids[3], "verdict": "fixed", "minutes": 6}
        assert (await client.post("/v1/feedback", json=said)).status_code == 202
        again = {"receipt_id": ids[0], "verdict": "fixed", "minutes": 2}
        await client.post("/v1/feedback", json=again)
        rates = (await client.get("/v1/experiments")).json()["rates"]
    assert len(rates) == 1
    assert (rates[0]["count"], rates[0]["fixed"], rates[0]["minutes_mean"]) == (4, 2, 4.0)
    assert rates[0]["interval"]["low"] < 0.5 < rates[0]["interval"]["high"]


async def test_what_was_never_delivered_cannot_be_judged() -> None:
    async with http(gateway()) as client:
        answer = await client.post("/v1/feedback", json={"receipt_id": "req_x", "verdict": "fixed"})
        wrong = await client.post("/v1/feedback", json={"receipt_id": "req_x", "verdict": "meh"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "unknown_receipt")
    assert wrong.status_code == 400

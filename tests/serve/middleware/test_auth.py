from pathlib import Path

import pytest

from serve.keys import entry, new_key
from tests.serve.gateways import SEED_POLICY, gateway, http

LIMITED = SEED_POLICY + "tenants:\n  design: {requests_per_minute: 1}\n"


@pytest.fixture
def key() -> str:
    return new_key()


@pytest.fixture
def keys_file(tmp_path: Path, key: str) -> str:
    file = tmp_path / "keys"
    file.write_text(entry("design", key))
    return str(file)


@pytest.mark.parametrize("header", [None, "Bearer wrong", "Basic abc", "Bearer", ""])
async def test_without_a_valid_key_nothing_is_answered(keys_file: str, header: str | None) -> None:
    async with http(gateway(auth={"keys_file": keys_file})) as client:
        headers = {} if header is None else {"authorization": header}
        answer = await client.post("/v1/images/generations", json={"prompt": "a poster"}, headers=headers)
        models = await client.get("/v1/models", headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")
    assert models.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert "wrong" not in answer.text


async def test_health_needs_no_key(keys_file: str) -> None:
    async with http(gateway(auth={"keys_file": keys_file})) as client:
        assert (await client.get("/healthz")).status_code == 200


async def test_the_key_names_the_tenant_that_limits_count(keys_file: str, key: str) -> None:
    async with http(gateway(LIMITED, auth={"keys_file": keys_file})) as client:
        headers = {"authorization": f"Bearer {key}"}
        body = {"prompt": "a poster"}
        first = await client.post("/v1/images/generations", json=body, headers=headers)
        second = await client.post("/v1/images/generations", json=body, headers=headers)
    assert first.status_code == 200
    assert (second.status_code, second.json()["error"]["code"]) == (429, "refused_capacity")
    assert 1 <= int(second.headers["retry-after"]) <= 60
    assert key not in second.text

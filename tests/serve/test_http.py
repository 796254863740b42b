import pytest

from tests.serve.gateways import gateway, http


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", "/v1/images/generations", 405, "method_not_allowed"),
        ("POST", "/v1/images/generations", 400, "invalid_json"),
    ],
)
async def test_every_error_is_an_openai_error_body(method: str, path: str, status: int, code: str) -> None:
    async with http(gateway()) as client:
        answer = await client.request(method, path)
    assert answer.status_code == status
    assert set(answer.json()["error"]) == {"message", "type", "code", "param"}
    assert answer.json()["error"]["code"] == code


async def test_what_nobody_foresaw_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    of = gateway()

    async def explode(*_: object) -> None:
        raise RuntimeError("/secret/path")

    monkeypatch.setattr(of.dispatcher, "dispatch", explode)
    async with http(of) as client:
        answer = await client.post(
            "/v1/images/generations", json={"prompt": "a poster"}, headers={"x-request-id": "r-1"}
        )
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal_error")
    assert "secret" not in answer.text
    assert answer.headers["x-request-id"] == "r-1"  # finds the traceback in the log

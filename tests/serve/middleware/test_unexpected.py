import logging

import pytest
from starlette.types import Message, Receive, Scope, Send

from serve.middleware.unexpected import UnexpectedMiddleware

SCOPE: Scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "state": {"request_id": "r-1"}}


async def nothing() -> Message:
    return {"type": "http.disconnect"}


async def answer_of(app: UnexpectedMiddleware, sent: list[Message]) -> None:
    async def send(message: Message) -> None:
        sent.append(message)

    await app(SCOPE, nothing, send)


async def test_the_answer_shows_nothing_and_the_log_everything(caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("/secret/path")

    sent: list[Message] = []
    with caplog.at_level(logging.ERROR, "atelier.http"):
        await answer_of(UnexpectedMiddleware(app), sent)
    assert sent[0]["status"] == 500
    assert b"internal_error" in sent[1]["body"]
    assert b"secret" not in sent[1]["body"]
    assert "unexpected error in request r-1" in caplog.text
    assert "/secret/path" in caplog.text


async def test_an_answer_that_has_begun_is_cut_and_not_continued() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError

    sent: list[Message] = []
    with pytest.raises(RuntimeError):
        await answer_of(UnexpectedMiddleware(app), sent)
    assert [message["type"] for message in sent] == ["http.response.start"]

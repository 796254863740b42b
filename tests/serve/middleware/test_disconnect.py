import asyncio
from typing import Any

import pytest

from serve.middleware.disconnect import DisconnectMiddleware

POST: dict[str, Any] = {"type": "http", "method": "POST", "path": "/", "headers": []}


class Client:
    """The server's side of a connection: a body, then nothing until `leave`."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self._messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._messages.put_nowait({"type": "http.request", "body": b"{", "more_body": True})
        self._messages.put_nowait({"type": "http.request", "body": b"}", "more_body": False})

    def leave(self) -> None:
        self._messages.put_nowait({"type": "http.disconnect"})

    async def receive(self) -> dict[str, Any]:
        return await self._messages.get()

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.statuses.append(message["status"])


async def read_body(receive: Any) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += message["body"]
        if not message["more_body"]:
            return body


async def test_work_ends_when_the_client_leaves() -> None:
    client, working, cancelled = Client(), asyncio.Event(), []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert await read_body(receive) == b"{}"
        working.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    serving = asyncio.create_task(DisconnectMiddleware(app)(POST, client.receive, client.send))
    await working.wait()
    client.leave()
    await serving
    assert (cancelled, client.statuses) == ([True], [499])


async def test_an_answer_is_sent_to_who_stays_and_nothing_goes_on_waiting() -> None:
    client, before = Client(), asyncio.all_tasks()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await read_body(receive)
        await send({"type": "http.response.start", "status": 200, "headers": []})

    await DisconnectMiddleware(app)(POST, client.receive, client.send)
    await asyncio.sleep(0)
    assert client.statuses == [200]
    assert asyncio.all_tasks() == before


async def test_an_endpoint_may_read_the_disconnect_itself() -> None:
    client, seen = Client(), []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await read_body(receive)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        client.leave()
        seen.append((await receive())["type"])

    await DisconnectMiddleware(app)(POST, client.receive, client.send)
    assert client.statuses == [200]
    assert seen in ([], ["http.disconnect"])


async def test_cancelling_from_outside_stays_a_cancellation() -> None:
    client, working = Client(), asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await read_body(receive)
        working.set()
        await asyncio.Event().wait()

    serving = asyncio.create_task(DisconnectMiddleware(app)(POST, client.receive, client.send))
    await working.wait()
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    assert client.statuses == []

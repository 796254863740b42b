"""Ends the work on a request whose client has gone."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from routing.types import Outcome
from serve.errors import from_outcome, respond


class DisconnectMiddleware:
    """Cancels the endpoint at the server's `http.disconnect`, once the body has been read.

    An endpoint that awaits a model does not read from its client, so that nobody else would notice. The
    answer to a client that has gone is a 499, for traces and logs.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS"):
            await self._app(scope, receive, send)
            return
        watch = _Watch(receive, send)
        try:
            await self._app(scope, watch.receive, watch.send)
        except asyncio.CancelledError:
            if not watch.has_cancelled or watch.work.uncancel():
                raise
            if not watch.has_answered:
                await respond(from_outcome(Outcome.CANCELLED, "the client has gone"))(scope, receive, send)
        finally:
            watch.stop()


class _Watch:
    """The client's side of one request, whose work is the current task."""

    def __init__(self, receive: Receive, send: Send) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.work = task
        self.has_cancelled = False
        self.has_answered = False
        self._receive, self._send = receive, send
        self._waiting: asyncio.Task[Message] | None = None

    async def receive(self) -> Message:
        if self._waiting is not None:
            return await asyncio.shield(self._waiting)
        message = await self._receive()
        if message["type"] == "http.request" and not message.get("more_body", False):
            self._waiting = asyncio.ensure_future(self._disconnect())
            self._waiting.add_done_callback(self._cancel)
        return message

    async def send(self, message: Message) -> None:
        self.has_answered = True
        await self._send(message)

    def stop(self) -> None:
        if self._waiting is not None:
            self._waiting.remove_done_callback(self._cancel)
            self._waiting.cancel()

    async def _disconnect(self) -> Message:
        while (message := await self._receive())["type"] != "http.disconnect":
            pass
        return message

    def _cancel(self, waiting: "asyncio.Task[Message]") -> None:
        if not waiting.cancelled() and waiting.exception() is None:
            self.has_cancelled = True
            self.work.cancel()

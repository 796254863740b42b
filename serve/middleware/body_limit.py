"""Reads a bounded body before anything parses it."""

from collections import deque
from collections.abc import Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve.errors import ApiError, respond

PIECE_BYTES = 1 << 20


class BodyLimitMiddleware:
    """Answers 413 once a body is, or says it is, larger than `max_bytes`; nothing further is read.

    Bodies of the paths in `streamed_max_bytes` have a limit of their own and are not held in memory: they
    are counted while the endpoint reads them.
    """

    def __init__(
        self, app: ASGIApp, max_bytes: int, streamed_max_bytes: Mapping[str, int] | None = None
    ) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._streamed_max_bytes = streamed_max_bytes or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS"):
            await self._app(scope, receive, send)
            return
        streamed = self._streamed_max_bytes.get(scope["path"])
        if streamed is not None and not _says_more_than(streamed, scope):
            await self._app(scope, _counted(receive, streamed), send)
            return
        pieces = None if streamed is not None else await self._read(scope, receive)
        if pieces is None:
            await respond(_too_large(streamed or self._max_bytes))(scope, receive, send)
            return
        await self._app(scope, _replay(pieces, receive), send)

    async def _read(self, scope: Scope, receive: Receive) -> deque[bytearray] | None:
        """In pieces that are neither so small that a drip of bytes costs a multiple of its size, nor copied
        into one. None when it is too large."""
        if _says_more_than(self._max_bytes, scope):
            return None
        pieces: deque[bytearray] = deque([bytearray()])
        size = 0
        while True:
            message = await receive()
            chunk = message.get("body", b"")
            size += len(chunk)
            if size > self._max_bytes:
                return None
            if len(pieces[-1]) >= PIECE_BYTES:
                pieces.append(bytearray())
            pieces[-1] += chunk
            if not message.get("more_body", False):  # nor has a disconnect
                return pieces


def _says_more_than(max_bytes: int, scope: Scope) -> bool:
    return any(
        name == b"content-length" and value.isdigit() and int(value) > max_bytes
        for name, value in scope["headers"]
    )


def _too_large(max_bytes: int) -> ApiError:
    return ApiError(413, "body_too_large", f"the request body is over {max_bytes} bytes")


def _counted(receive: Receive, max_bytes: int) -> Receive:
    """Raises ApiError into the endpoint that reads on beyond the limit."""
    size = 0

    async def counted() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > max_bytes:
            raise _too_large(max_bytes)
        return message

    return counted


def _replay(pieces: deque[bytearray], receive: Receive) -> Receive:
    """The body, of which each piece is held until it is read; then whatever the server sends."""

    async def replayed() -> Message:
        if not pieces:
            return await receive()
        piece = bytes(pieces.popleft())
        return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

    return replayed

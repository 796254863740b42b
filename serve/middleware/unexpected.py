"""The answer to what nobody foresaw: a 500 that shows nothing. The traceback is in the log."""

import logging

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve.errors import internal_error, respond

logger = logging.getLogger("atelier.http")


class UnexpectedMiddleware:
    """Answers where nothing was sent yet. Otherwise raises on, so that the server cuts the connection and no
    client takes half an answer for a whole one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        has_begun = False

        async def noted(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._app(scope, receive, noted)
        except Exception as error:
            logger.error("unexpected error in request %s", scope["state"]["request_id"], exc_info=error)
            if has_begun:
                raise
            await respond(internal_error())(scope, receive, send)

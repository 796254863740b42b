"""Who calls: the tenant of the bearer token. Without a key ring everybody is anonymous."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from serve.errors import ApiError, respond
from serve.keys import KeyRing

OPEN_PATHS = frozenset({"/healthz", "/readyz"})
_OPEN_PREFIX = "/v1/images/files/"  # a file's name is its own secret, and browsers send no token for it


class AuthMiddleware:
    """Puts `tenant` into the state, or answers 401. The token is never logged or echoed."""

    def __init__(self, app: ASGIApp, keys: KeyRing | None) -> None:
        self._app = app
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        state["tenant"] = None
        if self._keys is not None and not _is_open(scope["path"]):
            scheme, _, token = Headers(scope=scope).get("authorization", "").partition(" ")
            tenant = self._keys.tenant(token.strip()) if scheme.lower() == "bearer" else None
            if tenant is None:
                await respond(_REFUSED)(scope, receive, send)
                return
            state["tenant"] = tenant
        await self._app(scope, receive, send)


_REFUSED = ApiError(
    401,
    "invalid_api_key",
    "a valid API key is needed: send it as `Authorization: Bearer ...`",
    headers={"www-authenticate": "Bearer"},
)


def _is_open(path: str) -> bool:
    return path in OPEN_PATHS or path.startswith(_OPEN_PREFIX)

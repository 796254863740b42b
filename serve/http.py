"""The HTTP application: endpoint groups, middleware, and errors as OpenAI error bodies.

An ordinary ASGI application: Ray Serve hosts it in production, a test calls it directly.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from serve.config import Limits
from serve.errors import ApiError, bad_request, respond
from serve.keys import KeyRing
from serve.middleware.auth import AuthMiddleware
from serve.middleware.body_limit import BodyLimitMiddleware
from serve.middleware.disconnect import DisconnectMiddleware
from serve.middleware.request_id import RequestIdMiddleware
from serve.middleware.tracing import TracingMiddleware
from serve.middleware.unexpected import UnexpectedMiddleware

MAX_PARAM_CHARS = 128

Lifespan = Callable[[Any], AbstractAsyncContextManager[None]]


def build_http(
    routers: list[APIRouter],
    limits: Limits,
    keys: KeyRing | None = None,
    lifespan: Lifespan | None = None,
    streamed_max_bytes: Mapping[str, int] | None = None,
) -> FastAPI:
    """`streamed_max_bytes` are limits of paths whose endpoints read the body piece by piece."""
    app = FastAPI(
        title="Atelier",
        version=version("atelier-serve"),
        description="OpenAI-compatible images, routed to the model that fits their purpose.",
        lifespan=lifespan,
        redoc_url=None,
        # Our middleware makes the HTTP span; a second one, and one per operation, would only cost.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    for router in routers:
        app.include_router(router)
    app.add_exception_handler(ApiError, _api_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_exception)
    _wrap(app, limits, keys, streamed_max_bytes or {})
    return app


def _wrap(app: FastAPI, limits: Limits, keys: KeyRing | None, streamed_max_bytes: Mapping[str, int]) -> None:
    """Outermost last: a request gets its id and its span, a last resort for what nobody foresees, its tenant,
    has its body read, then works as long as its client is there."""
    app.add_middleware(DisconnectMiddleware)
    app.add_middleware(
        BodyLimitMiddleware, max_bytes=limits.max_body_bytes, streamed_max_bytes=streamed_max_bytes
    )
    app.add_middleware(AuthMiddleware, keys=keys)
    app.add_middleware(UnexpectedMiddleware)
    app.add_middleware(TracingMiddleware)
    app.add_middleware(RequestIdMiddleware)


async def _api_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ApiError)
    return respond(error)


async def _validation_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    location = [str(part) for part in first["loc"] if part != "body"]
    param = ".".join(location)[:MAX_PARAM_CHARS] or None
    match first["type"]:
        case "json_invalid":
            return respond(bad_request("invalid_json", "the request body is not JSON"))
        case "extra_forbidden":
            return respond(bad_request("unknown_parameter", f"unknown parameter {param!r}", param))
        case "missing" if param is None:
            return respond(bad_request("invalid_json", "the request body is empty; send a JSON object"))
        case "missing":
            return respond(bad_request("missing_parameter", f"{param!r} is required", param))
        case _:
            return respond(bad_request("invalid_parameter", f"{param or 'body'}: {first['msg']}", param))


async def _http_exception(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return respond(ApiError(404, "not_found", f"no endpoint {request.method} {request.url.path[:128]}"))
    if error.status_code == 405:
        return respond(ApiError(405, "method_not_allowed", f"{request.method} is not offered here"))
    return respond(ApiError(error.status_code, "bad_request", "the request could not be read"))

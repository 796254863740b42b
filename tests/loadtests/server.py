"""A small Images endpoint with known behaviour, on loopback, for tests of the load generator."""

import asyncio
import base64
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from PIL import Image

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def png(width: int = 8, height: int = 8, shade: int = 120) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), (shade, shade, shade)).save(buffer, "png")
    return buffer.getvalue()


def receipt(**changes: Any) -> dict[str, Any]:
    return {
        "request_id": "req-1",
        "trace_id": None,
        "policy_version": "1",
        "route": "badges",
        "model": "typesetter",
        "outcome": "ok",
        "substituted": False,
        "budget_ms": 300.0,
        "queue_ms": 1.0,
        "total_ms": 5.0,
        "gpu_s": 0.0,
        "cost_usd": 0.001,
        "images": [{"rung": 0, "substitutions": [], "pixels_sha256": "00"}],
        **changes,
    }


def success(image: bytes | None = None, **changes: Any) -> dict[str, Any]:
    return {
        "created": 0,
        "data": [{"b64_json": base64.b64encode(image or png()).decode()}],
        "output_format": "png",
        "size": "8x8",
        "atelier": receipt(**changes),
    }


def error(code: str, message: str = "no") -> dict[str, Any]:
    return {"error": {"message": message, "type": "server_error", "code": code, "param": None}}


async def answer_at_once(request: web.Request) -> web.StreamResponse:
    await request.read()
    return web.json_response(success())


async def never_answer(request: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError("unreachable")


@asynccontextmanager
async def images_endpoint(
    handler: Handler = answer_at_once, fleet: Handler | None = None
) -> AsyncIterator[str]:
    """Yields the base URL."""
    app = web.Application()
    if fleet is not None:
        app.router.add_get("/v1/fleet", fleet)
    app.router.add_post("/v1/images/generations", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    try:
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()

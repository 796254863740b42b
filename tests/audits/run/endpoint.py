"""A small Images endpoint whose answers are a function of what is asked, on loopback, and an audit for it."""

import base64
import hashlib
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from PIL import Image

AUDIT = """
name: fake
seeds: [1, 2]
repeats: 2
alone: true
concurrency: 3
candidates:
  steady: {model: steady}
  broken: {model: broken}
assets:
  swatch:
    size: 16x8
    prompts: [{id: one, prompt: first}, {id: two, prompt: second}]
    criteria: {size_as_asked: {}, same_pixels: {}, max_difference: {max: 3}, file_bytes: {max: 500}}
  tile:
    size: 8x8
    prompts: [{id: one, prompt: third}]
    criteria: {size_as_asked: {}, latency_ms: {max: 60000}}
"""
ANSWERS = 36


def answer(body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """`broken` refuses one seed and answers the other in the wrong size."""
    if body["model"] == "broken" and body["atelier"]["seed"] == 2:
        return 503, {"error": {"code": "out_of_memory", "message": "no", "type": "x", "param": None}}
    width, height = map(int, body["size"].split("x"))
    if body["model"] == "broken":
        width += 1
    asked = f"{body['prompt']} {body['atelier']['seed']}"
    shade = hashlib.sha256(asked.encode()).digest()[:3]
    file = io.BytesIO()
    Image.new("RGB", (width, height), tuple(shade)).save(file, "png")
    stage = {"model": body["model"], "revision": "r1", "steps": 4}
    return 200, {
        "data": [{"b64_json": base64.b64encode(file.getvalue()).decode()}],
        "output_format": "png",
        "atelier": {
            "request_id": asked,
            "model": body["model"],
            "policy_version": "p1",
            "substituted": False,
            "gpu_s": 0.5,
            "cost_usd": 0.01,
            "images": [{"stages": [stage]}],
        },
    }


class Fake:
    """`bodies` are what was asked; `headers` those of the last request. After `dies_after` answers it cuts
    every connection."""

    def __init__(self, dies_after: int | None = None) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.headers: dict[str, str] = {}
        self.at_once = 0
        self.most_at_once = 0
        self._dies_after = dies_after

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            body = await request.json()
            if self._dies_after is not None and len(self.bodies) >= self._dies_after:
                assert request.transport is not None
                request.transport.close()
            self.bodies.append(body)
            self.headers = {name.lower(): text for name, text in request.headers.items()}
            status, document = answer(body)
            return web.json_response(document, status=status)
        finally:
            self.at_once -= 1


@asynccontextmanager
async def serving(fake: Fake) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post("/v1/images/generations", fake)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    try:
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()

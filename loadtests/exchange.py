"""One HTTP exchange with the Images endpoint: a call out, an answer back.

Tolerant towards the service: a receipt with missing fields, or none, is an answer all the same. Never
follows a redirect or a proxy, since either could lead off the host that was allowed.
"""

import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Protocol

import aiohttp

from loadtests.observation import OK, Answer, Unanswered
from loadtests.target import Target
from loadtests.workload import Call

GENERATIONS = "/v1/images/generations"


class Exchange(Protocol):
    """Sends one call. Never raises but CancelledError: what goes wrong is an Answer too."""

    async def send(self, call: Call) -> Answer: ...


class HttpExchange:
    """Over one aiohttp session. `headers` go with every call, and each starts a trace (W3C traceparent)."""

    def __init__(
        self, session: aiohttp.ClientSession, target: Target, headers: Mapping[str, str] | None = None
    ) -> None:
        self._session = session
        self._url = target.url(GENERATIONS)
        self._headers = {"content-type": "application/json", **(headers or {})}

    async def send(self, call: Call) -> Answer:
        trace_id = os.urandom(16).hex()
        headers = {**self._headers, "traceparent": f"00-{trace_id}-{os.urandom(8).hex()}-01"}
        try:
            async with self._session.post(
                self._url, data=json.dumps(call.body()), headers=headers, allow_redirects=False
            ) as response:
                body = await response.read()
        except TimeoutError:
            return Answer(Unanswered.TIMEOUT, trace_id=trace_id, message="no answer in time")
        except (aiohttp.ClientError, OSError) as error:
            return Answer(Unanswered.CONNECTION, trace_id=trace_id, message=type(error).__name__)
        return read_answer(response.status, body, trace_id)


@asynccontextmanager
async def open_exchange(
    target: Target, *, timeout_s: float, headers: Mapping[str, str] | None = None
) -> AsyncIterator[HttpExchange]:
    """An exchange with as many connections as calls in flight, each closed at the end."""
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=30)
    timeout = aiohttp.ClientTimeout(total=timeout_s)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout, trust_env=False) as session:
        yield HttpExchange(session, target, headers)


def read_answer(status: int, body: bytes, trace_id: str | None = None) -> Answer:
    """What a response says. A success without an image, or a body that is not JSON, is `bad_response`."""
    try:
        document = json.loads(body)
    except ValueError:
        document = None
    if status != 200:
        error = _mapping(_mapping(document).get("error"))
        code = error.get("code") or f"http_{status}"
        message, route = str(error.get("message", ""))[:200], error.get("route")
        return Answer(str(code), status, message, trace_id=trace_id, route=route and str(route))
    data = _mapping(document).get("data")
    entries = data if isinstance(data, list) else []
    images = tuple(image for each in entries if isinstance(image := _mapping(each).get("b64_json"), str))
    if not images:
        return Answer(Unanswered.BAD_RESPONSE, status, "no image in the response", trace_id=trace_id)
    return _with_receipt(images, _mapping(_mapping(document).get("atelier")), trace_id)


def _with_receipt(images: tuple[str, ...], receipt: Mapping[str, Any], trace_id: str | None) -> Answer:
    made = [_mapping(each) for each in receipt.get("images") or ()]
    return Answer(
        OK,
        200,
        images=images,
        request_id=receipt.get("request_id"),
        trace_id=receipt.get("trace_id") or trace_id,
        route=receipt.get("route"),
        model=receipt.get("model"),
        substituted=bool(receipt.get("substituted")),
        attempts=1 + max((len(each.get("substitutions") or ()) for each in made), default=0),
        rung=max((int(each.get("rung") or 0) for each in made), default=0),
        budget_ms=receipt.get("budget_ms"),
        total_ms=receipt.get("total_ms"),
        queue_ms=receipt.get("queue_ms"),
        gpu_s=float(receipt.get("gpu_s") or 0.0),
        cost_usd=float(receipt.get("cost_usd") or 0.0),
        pixels_sha256=tuple(each.get("pixels_sha256") for each in made),
    )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}

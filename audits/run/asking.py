"""One question to the Images endpoint: sent once, its answer read, its time taken.

Asks for an image of its own (`cache-control: no-store`): a kept one would say nothing of the model. Follows
neither redirects nor proxies of the environment.
"""

import base64
import binascii
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import aiohttp

from audits.run.records import OK

GENERATIONS = "/v1/images/generations"
TIMEOUT = "client_timeout"
BAD_ANSWER = "bad_response"


class EndpointError(Exception):
    """The endpoint is not there, or refuses the caller: it has said nothing of the model."""


@dataclass(frozen=True, slots=True)
class Reply:
    """`outcome` is `ok` or an error code. `latency_ms` runs from sending to the last byte."""

    outcome: str
    latency_ms: float
    message: str = ""
    image: bytes | None = None
    extension: str = "png"
    receipt: Mapping[str, Any] = field(default_factory=dict)


class Endpoint(Protocol):
    async def ask(self, body: Mapping[str, Any]) -> Reply:
        """Raises EndpointError."""
        ...


class HttpEndpoint:
    def __init__(self, session: aiohttp.ClientSession, base_url: str) -> None:
        self._session = session
        self._url = base_url + GENERATIONS

    async def ask(self, body: Mapping[str, Any]) -> Reply:
        sent_s = time.perf_counter()
        try:
            async with self._session.post(self._url, json=body, allow_redirects=False) as response:
                content, status = await response.read(), response.status
        except TimeoutError:
            return Reply(TIMEOUT, _since_ms(sent_s), "no answer in time")
        except aiohttp.ClientConnectorError:
            raise EndpointError(f"no connection to {self._url}") from None
        except (aiohttp.ClientError, OSError) as error:
            raise EndpointError(f"the connection was lost ({type(error).__name__})") from None
        return _read(status, content, _since_ms(sent_s))


@asynccontextmanager
async def open_endpoint(
    base_url: str, *, timeout_s: float, api_key: str | None = None
) -> AsyncIterator[HttpEndpoint]:
    headers = {"cache-control": "no-store"}
    if api_key is not None:
        headers["authorization"] = f"Bearer {api_key}"
    async with aiohttp.ClientSession(
        headers=headers,
        timeout=aiohttp.ClientTimeout(total=timeout_s),
        connector=aiohttp.TCPConnector(limit=0),
        trust_env=False,
    ) as session:
        yield HttpEndpoint(session, base_url)


def _read(status: int, content: bytes, latency_ms: float) -> Reply:
    try:
        document = json.loads(content)
    except ValueError:
        document = None
    document = document if isinstance(document, dict) else {}
    if status != 200:
        error = document.get("error")
        error = error if isinstance(error, dict) else {}
        code, message = str(error.get("code") or f"http_{status}"), str(error.get("message") or "")[:300]
        if status in (401, 403, 404, 413):
            raise EndpointError(f"the endpoint refuses the request: {status} {code} {message}")
        return Reply(code, latency_ms, message)
    try:
        image = base64.b64decode(document["data"][0]["b64_json"], validate=True)
    except (KeyError, IndexError, TypeError, binascii.Error):
        image = b""
    if not image:
        return Reply(BAD_ANSWER, latency_ms, "the answer holds no image")
    receipt = document.get("atelier")
    return Reply(
        OK,
        latency_ms,
        image=image,
        extension=_extension(document.get("output_format")),
        receipt=receipt if isinstance(receipt, dict) else {},
    )


def _extension(said: Any) -> str:
    return said if said in ("png", "webp", "jpeg") else "png"


def _since_ms(start_s: float) -> float:
    return (time.perf_counter() - start_s) * 1000

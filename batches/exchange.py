"""One item against the endpoint: sent, sent again where that is asked for, its answer read.

What counts as a failure of the item and what as one of the endpoint is decided here: an endpoint that is not
there, or that refuses the caller, is no reason to write off item after item.
"""

import asyncio
import base64
import binascii
import email.utils
import json
import random
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import aiohttp

from batches.items import Item

GENERATIONS = "/v1/images/generations"
LONGEST_BACKOFF_S = 30.0
_LATER = (429, 503)
_CALLER_REFUSED = (401, 403)


class EndpointError(Exception):
    """The endpoint is not there or refuses the caller: to go on with other items is no use."""


class Stopped(Exception):
    """The run is being stopped, and the item waits to be sent."""


class NotReached(Exception):
    """No connection could be made."""


class ConnectionLost(Exception):
    """The connection ended before the answer did."""


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    body: bytes
    retry_after: str | None = None


class Endpoint(Protocol):
    async def send(self, item: Item) -> Reply:
        """Raises NotReached, ConnectionLost."""
        ...


@dataclass(frozen=True, slots=True)
class Rules:
    """`timeout_s` bounds the time that an item spends being answered, all its attempts together; waiting
    because the endpoint said so does not count. `max_wait_s` is how long such a wait may be."""

    timeout_s: float = 120.0
    attempts: int = 8
    max_wait_s: float = 600.0


@dataclass(frozen=True, slots=True)
class Rendered:
    images: tuple[bytes, ...]
    extension: str
    receipt: Mapping[str, Any] | None
    attempts: int


@dataclass(frozen=True, slots=True)
class Failed:
    """`status` is None where the endpoint did not answer."""

    code: str
    message: str
    status: int | None
    attempts: int


@dataclass(slots=True)
class Pause:
    """Shared by all items: when the endpoint says "later", it says so to everybody. Times are the loop's."""

    stop: asyncio.Event = field(default_factory=asyncio.Event)
    until_s: float = 0.0

    def extend(self, wait_s: float) -> None:
        self.until_s = max(self.until_s, asyncio.get_running_loop().time() + wait_s)

    async def over(self) -> None:
        """Raises Stopped when the run is stopped meanwhile."""
        while (left_s := self.until_s - asyncio.get_running_loop().time()) > 0 and not self.stop.is_set():
            try:
                async with asyncio.timeout(left_s):
                    await self.stop.wait()
            except TimeoutError:
                continue
        if self.stop.is_set():
            raise Stopped


async def render(item: Item, endpoint: Endpoint, rules: Rules, pause: Pause) -> Rendered | Failed:
    """Raises EndpointError and Stopped; the item has then not ended."""
    clock = asyncio.get_running_loop().time
    left_s = rules.timeout_s
    for attempt in range(1, rules.attempts + 1):
        await pause.over()
        sent_s = clock()
        last = attempt == rules.attempts
        try:
            async with asyncio.timeout(left_s):
                reply = await endpoint.send(item)
        except TimeoutError:
            return Failed("timeout", f"not answered within {rules.timeout_s:g} s", None, attempt)
        except NotReached as error:
            if last:
                raise EndpointError(f"the endpoint cannot be reached: {error}") from None
            pause.extend(_backoff_s(attempt))
            continue
        except ConnectionLost as error:
            if last:
                return Failed("connection_lost", str(error), None, attempt)
            pause.extend(_backoff_s(attempt))
            continue
        finally:
            left_s -= clock() - sent_s
        if reply.status not in _LATER:
            return _read(reply, attempt)
        wait_s = _wait_s(reply.retry_after, attempt)
        if last or wait_s > rules.max_wait_s or left_s <= 0:
            return _read(reply, attempt)
        pause.extend(wait_s)
    raise AssertionError("the last attempt always returns")


def _backoff_s(attempt: int) -> float:
    """Doubling from a second, each a random part of it: items that failed together do not come back so."""
    return min(LONGEST_BACKOFF_S, 2.0 ** (attempt - 1)) * random.uniform(0.5, 1.0)


def _wait_s(retry_after: str | None, attempt: int) -> float:
    """`Retry-After` in seconds or as a date; without one that can be read, as after a lost connection."""
    if retry_after is None:
        return _backoff_s(attempt)
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(retry_after).timestamp() - time.time())
    except ValueError:
        return _backoff_s(attempt)


def _read(reply: Reply, attempts: int) -> Rendered | Failed:
    try:
        document = json.loads(reply.body)
    except ValueError:
        document = None
    document = document if isinstance(document, dict) else {}
    if reply.status != 200:
        return _failure(reply, document, attempts)
    try:
        images = tuple(base64.b64decode(each["b64_json"], validate=True) for each in document["data"])
    except (KeyError, TypeError, binascii.Error):
        images = ()
    if not all(images) or not images:
        return Failed("bad_response", "the answer holds no image", reply.status, attempts)
    extension = document.get("output_format")
    extension = extension if extension in ("png", "webp", "jpeg", "svg") else "png"
    receipt = document.get("atelier")
    return Rendered(images, extension, receipt if isinstance(receipt, dict) else None, attempts)


def _failure(reply: Reply, document: Mapping[str, Any], attempts: int) -> Failed:
    error = document.get("error")
    error = error if isinstance(error, dict) else {}
    code = str(error.get("code") or f"http_{reply.status}")
    message = str(error.get("message") or f"the endpoint answered {reply.status}")[:500]
    if reply.status in _CALLER_REFUSED:
        raise EndpointError(f"the endpoint refuses the caller: {message}")
    return Failed(code, message, reply.status, attempts)


class HttpEndpoint:
    def __init__(self, session: aiohttp.ClientSession, base_url: str) -> None:
        self._session = session
        self._url = base_url + GENERATIONS

    async def send(self, item: Item) -> Reply:
        try:
            async with self._session.post(self._url, json=item.body, allow_redirects=False) as response:
                return Reply(response.status, await response.read(), response.headers.get("retry-after"))
        except aiohttp.ClientConnectorError as error:
            raise NotReached(f"{error.host}:{error.port} ({error.os_error.strerror})") from None
        except (aiohttp.ClientError, OSError) as error:
            if isinstance(error, TimeoutError):
                raise
            raise ConnectionLost(f"the connection was lost ({type(error).__name__})") from None


@asynccontextmanager
async def open_endpoint(base_url: str, api_key: str | None) -> AsyncIterator[HttpEndpoint]:
    """Follows neither redirects nor proxies of the environment: the key goes to `base_url` only."""
    headers = {} if api_key is None else {"authorization": f"Bearer {api_key}"}
    timeout = aiohttp.ClientTimeout(total=None)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(
        headers=headers, timeout=timeout, connector=connector, trust_env=False
    ) as session:
        yield HttpEndpoint(session, base_url)

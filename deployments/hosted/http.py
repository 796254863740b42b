"""The HTTP client for providers: bounded answers, no silent redirects, quiet logs."""

import logging
from collections.abc import AsyncIterator

import httpx2

CONNECT_TIMEOUT_S = 5.0

_TALKATIVE = ("httpx2", "httpcore2", "openai")
"""Libraries that log requests, which hold prompts and pictures, and links to results, which are signed."""


class TooLarge(httpx2.TransportError):
    """The body of an answer is larger than was agreed to be read."""


def bounded_client(max_bytes: int, connections: int, trust_env: bool = True) -> httpx2.AsyncClient:
    """Ends an answer whose body, as it comes over the wire, exceeds `max_bytes`. Bodies are not asked for
    compressed: a bound on the wire would be worth little. `trust_env` says whether the environment's proxies
    are used. From now on the libraries below log warnings only."""
    for library in _TALKATIVE:
        logging.getLogger(library).setLevel(logging.WARNING)

    async def bound(response: httpx2.Response) -> None:
        announced = response.headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > max_bytes:
            raise TooLarge(f"the answer announces {announced} bytes, more than {max_bytes}")
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        response.stream = _Bounded(response.stream, max_bytes)

    return httpx2.AsyncClient(
        limits=httpx2.Limits(max_connections=connections, max_keepalive_connections=connections),
        headers={"accept-encoding": "identity"},
        event_hooks={"response": [bound]},
        follow_redirects=False,
        trust_env=trust_env,
    )


class _Bounded(httpx2.AsyncByteStream):
    def __init__(self, inner: httpx2.AsyncByteStream, max_bytes: int) -> None:
        self._inner = inner
        self._left = max_bytes

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._inner:
            self._left -= len(chunk)
            if self._left < 0:
                raise TooLarge("the answer is larger than was agreed to be read")
            yield chunk

    async def aclose(self) -> None:
        await self._inner.aclose()


def timeout(seconds: float) -> httpx2.Timeout:
    """`seconds` for each wait of a call; less for connecting, so that a server that cannot be reached is told
    from one that is slow."""
    return httpx2.Timeout(seconds, connect=min(0.9 * seconds, CONNECT_TIMEOUT_S))

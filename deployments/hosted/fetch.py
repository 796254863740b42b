"""Gets an image from a link that a provider answered with, without becoming anybody's way into the network.

A link is followed only to the provider's own API or, by HTTPS, to the hosts the spec names. Their names are
resolved here and the connection goes to the very address that was checked: a name that answers differently a
moment later changes nothing. Redirects are links like the first. The API key is not sent along.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable

import httpx2

from deployments.errors import ModelFailed
from deployments.hosted import http
from deployments.hosted.provider import TimedOut
from deployments.hosted.spec import HostedSpec, Url

MAX_REDIRECTS = 3
TRIES = 2
"""Fetching again costs nothing."""

Resolve = Callable[[str, int], Awaitable[list[str]]]
"""All addresses of a host, as text."""

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_EXPIRED = frozenset({401, 403, 404, 410})
_IMAGE_TYPES = ("image/png", "image/jpeg", "image/webp", "application/octet-stream", "binary/octet-stream")


async def resolve(host: str, port: int) -> list[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


class Fetcher:
    """`own_url` is the provider's API, which is trusted as the config's author trusts it."""

    def __init__(self, own_url: Url, spec: HostedSpec, resolver: Resolve = resolve) -> None:
        self._own = _origin(httpx2.URL(own_url))
        self._hosts = spec.result_hosts
        self._resolve = resolver
        # Through a proxy the address of a connection could not be checked.
        self._client = http.bounded_client(spec.max_result_bytes, spec.max_ongoing_requests, trust_env=False)

    async def fetch(self, link: str, timeout_s: float) -> bytes:
        """Raises ModelFailed or TimedOut. The message names neither host nor path: links are signed."""
        for attempt in range(TRIES):
            try:
                return await self._followed(link, timeout_s)
            except (httpx2.TimeoutException, TimeoutError):
                raise TimedOut from None
            except http.TooLarge:
                raise ModelFailed("the provider's image is too large") from None
            except (httpx2.HTTPError, OSError):
                if attempt == TRIES - 1:
                    raise ModelFailed("the provider's image could not be fetched") from None
        raise AssertionError("unreachable")

    async def _followed(self, link: str, timeout_s: float) -> bytes:
        url = _parsed(link)
        for _ in range(1 + MAX_REDIRECTS):
            response = await self._get(url, timeout_s)
            if not response.has_redirect_location:
                return _content(response)
            url = url.join(response.headers["location"])
        raise ModelFailed("the provider's link leads in circles")

    async def _get(self, url: httpx2.URL, timeout_s: float) -> httpx2.Response:
        request = self._client.build_request("GET", url, timeout=http.timeout(timeout_s))
        if _origin(url) != self._own:
            address = await self._checked_address(url)
            # The certificate is still that of the name: TLS asks for it, and checks it, by `sni_hostname`.
            # The connection is used once: kept, it would serve other names of this address unchecked.
            request.extensions["sni_hostname"] = url.host
            request.headers["connection"] = "close"
            request.url = url.copy_with(host=address)
        return await self._client.send(request)

    async def _checked_address(self, url: httpx2.URL) -> str:
        host = url.host.lower().rstrip(".")
        if url.scheme != "https" or url.userinfo or url.port not in (None, 443):
            raise ModelFailed("the provider's link is not a plain https link")
        if not any(host == allowed or host.endswith(f".{allowed}") for allowed in self._hosts):
            raise ModelFailed("the provider's link leads to a host that result_hosts does not name")
        addresses = await self._resolve(host, 443)
        if not addresses or not all(is_public(address) for address in addresses):
            raise ModelFailed("the provider's link leads into a private network")
        return addresses[0]

    async def close(self) -> None:
        await self._client.aclose()


def is_public(address: str) -> bool:
    """Whether an address is of the open internet, also where it wraps another one."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            ip = ip.ipv4_mapped
        elif ip.sixtofour is not None or ip.teredo is not None or ip in _NAT64 or ip.is_site_local:
            return False  # site-local is deprecated, still inside, and global to Python
    return ip.is_global and not ip.is_multicast


def _parsed(link: str) -> httpx2.URL:
    try:
        return httpx2.URL(link)
    except httpx2.InvalidURL:
        raise ModelFailed("the provider's link is not a URL") from None


def _origin(url: httpx2.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _content(response: httpx2.Response) -> bytes:
    if response.status_code in _EXPIRED:
        raise ModelFailed("the provider's link to the image has expired")
    response.raise_for_status()
    media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in _IMAGE_TYPES or response.headers.get("content-encoding", "identity") != "identity":
        raise ModelFailed("the provider's link leads to something that is no image")
    return response.content

"""Which hosts may be put under load.

A load generator pointed at the wrong address is an attack. Only this machine's loopback addresses are
allowed unless the operator says otherwise. Knows nothing of HTTP.
"""

import ipaddress
import socket
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

Resolve = Callable[[str], list[str]]
"""Host name to the addresses it stands for."""


class TargetRefused(ValueError):
    """The URL cannot or may not be put under load; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Target:
    """The service's root: scheme, host and port, with the path it is mounted at and no trailing slash."""

    base_url: str

    def url(self, path: str) -> str:
        return self.base_url + path


def resolve_host(host: str) -> list[str]:
    try:
        return [str(info[4][0]) for info in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]
    except OSError as error:
        raise TargetRefused(f"{host} cannot be resolved: {error.strerror or error}") from None


def parse_target(url: str, *, allow_remote: bool = False, resolve: Resolve = resolve_host) -> Target:
    """Raises TargetRefused for a URL that is malformed or, without `allow_remote`, leaves this machine.

    A name counts as local when every address it resolves to is a loopback address. The endpoint's own
    path may be given too: `http://host:8000/v1/images/generations` is the same target as `http://host:8000`.
    """
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme not in ("http", "https"):
        raise TargetRefused(f"{url}: expected an http:// or https:// URL")
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        raise TargetRefused(f"{url}: the port is not a number from 0 to 65535") from None
    if not host:
        raise TargetRefused(f"{url}: no host")
    if parts.username or parts.password:
        raise TargetRefused("the URL holds credentials; give them with --api-key-file")
    if not allow_remote and not _is_local(host, resolve):
        raise TargetRefused(
            f"{host} is not this machine; to put load on another host that you are responsible for, "
            "pass --allow-remote"
        )
    path = parts.path.rstrip("/").removesuffix("/v1/images/generations").removesuffix("/v1")
    netloc = f"[{host}]" if ":" in host else host
    if port is not None:
        netloc += f":{port}"
    return Target(urlunsplit((parts.scheme, netloc, path, "", "")))


def _is_local(host: str, resolve: Resolve) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        addresses = resolve(host)
    return bool(addresses) and all(ipaddress.ip_address(each).is_loopback for each in addresses)

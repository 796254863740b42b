"""Where a server listens: as its URL, and whether others reach it."""

import ipaddress
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Address:
    """`host` is a name or an IP address, one of version 6 without brackets."""

    host: str
    port: int

    @property
    def _ip(self) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
        try:
            return ipaddress.ip_address(self.host)
        except ValueError:
            return None

    @property
    def is_ipv6(self) -> bool:
        return isinstance(self._ip, ipaddress.IPv6Address)

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it. Of names only `localhost` is known to be so."""
        return self.host == "localhost" if self._ip is None else self._ip.is_loopback

    @property
    def url(self) -> str:
        """For a client on this machine: one that listens everywhere is asked over loopback."""
        host = self.host
        if self._ip is not None and self._ip.is_unspecified:
            host = "::1" if self.is_ipv6 else "127.0.0.1"
        return f"http://[{host}]:{self.port}" if self.is_ipv6 else f"http://{host}:{self.port}"

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if self.is_ipv6 else f"{self.host}:{self.port}"


def address_of(host: str, port: int) -> Address:
    """Takes an IPv6 address with and without the brackets that URLs put around it."""
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    return Address(bare, port)

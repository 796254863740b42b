"""What the stand-ins of providers share: a real HTTP server on loopback that is strict with requests.

A request that the published API would not take is answered with 400 and kept in `violations`; a test that
ends with one fails. What else goes wrong is told beforehand, one `Behaviour` per call.
"""

import asyncio
import hashlib
import io
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from aiohttp import web
from PIL import Image

KEY = "sk-live-7Qh2-do-not-leak-me"
"""What every stand-in wants; the tests search everything that comes out for it."""

KEY_VARIABLE = "PROVIDER_KEY"
"""Where the tests' configs find it."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """An error answer, as recorded."""

    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Hang:
    """Reads the request and never answers."""


@dataclass(frozen=True, slots=True)
class HangUp:
    """Reads the request and closes the connection."""


@dataclass(frozen=True, slots=True)
class Say:
    """Success, with this body instead of an image's."""

    body: bytes
    content_type: str = "application/json"


@dataclass(frozen=True, slots=True)
class Paint:
    """Success, with these bytes instead of a sound image."""

    image: bytes


@dataclass(frozen=True, slots=True)
class Special:
    """Something only one provider does."""

    name: str


Behaviour = Refuse | Hang | HangUp | Say | Paint | Special


@dataclass(frozen=True, slots=True)
class Seen:
    """A call that was understood: its path, its fields, its files (decoded as images), its headers."""

    path: str
    fields: Mapping[str, Any]
    files: Mapping[str, Image.Image]
    headers: Mapping[str, str]


class Violation(Exception):
    """The request is not what the published API takes."""


class StandIn:
    """`behaviours` are used up call by call; then every call succeeds."""

    def __init__(self) -> None:
        self.calls: list[Seen] = []
        self.violations: list[str] = []
        self.behaviours: deque[Behaviour] = deque()
        self.origin = ""
        self.arrived = asyncio.Event()

    def application(self) -> web.Application:
        raise NotImplementedError

    def saw(self, call: Seen) -> None:
        self.calls.append(call)
        self.arrived.set()

    def next_behaviour(self) -> Behaviour | None:
        return self.behaviours.popleft() if self.behaviours else None


T = TypeVar("T", bound=StandIn)


@asynccontextmanager
async def running(standin: T) -> AsyncIterator[T]:
    """Serves it on a free port; at the end no request may have been a violation."""
    runner = web.AppRunner(standin.application(), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    standin.origin = f"http://127.0.0.1:{port}"
    try:
        yield standin
    finally:
        await runner.cleanup()
    assert standin.violations == []


async def never() -> web.Response:
    await asyncio.Event().wait()
    raise AssertionError("unreachable")


def drop(request: web.Request) -> web.Response:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def read_form(request: web.Request) -> tuple[dict[str, str], dict[str, Image.Image]]:
    """Fields and files of a multipart body. Raises Violation for one that comes twice or is no image."""
    if request.content_type != "multipart/form-data":
        raise Violation(f"content type {request.content_type} instead of multipart/form-data")
    fields: dict[str, str] = {}
    files: dict[str, Image.Image] = {}
    async for part in await request.multipart():
        assert hasattr(part, "filename")
        name = str(part.name).removesuffix("[]")
        if name in fields or name in files:
            raise Violation(f"{name} was sent twice")
        data = bytes(await part.read())
        if part.filename is None:
            fields[name] = data.decode()
        else:
            files[name] = Image.open(io.BytesIO(data))
            files[name].load()
    return fields, files


def painting(prompt: str, width: int, height: int, mode: str = "RGB") -> bytes:
    """A PNG whose colour tells the prompt."""
    colour = tuple(hashlib.sha256(prompt.encode()).digest()[: len(mode)])
    target = io.BytesIO()
    Image.new(mode, (width, height), colour).save(target, "PNG")
    return target.getvalue()


def colour_of(prompt: str) -> tuple[int, ...]:
    return tuple(hashlib.sha256(prompt.encode()).digest()[:3])


def require(condition: bool, said: str) -> None:
    if not condition:
        raise Violation(said)


def one_of(fields: Mapping[str, Any], name: str, allowed: frozenset[Any]) -> None:
    require(name not in fields or fields[name] in allowed, f"{name} is {fields.get(name)!r}")

"""Where a provider's link may lead, and where not."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2
import pytest
from aiohttp import web

from deployments.errors import ModelFailed
from deployments.hosted.fetch import Fetcher, is_public
from deployments.hosted.provider import TimedOut
from deployments.hosted.spec import IdeogramSpec
from tests.deployments.hosted.standin import painting

IMAGE = painting("x", 8, 8)
PUBLIC = "93.184.215.14"


def spec(**fields: Any) -> IdeogramSpec:
    return IdeogramSpec.model_validate({"kind": "ideogram", "model": "V_3", **fields})


class Network:
    """Answers in place of the internet: by the address a connection goes to."""

    def __init__(self, answers: dict[str, Callable[[httpx2.Request], httpx2.Response]]) -> None:
        self.requests: list[httpx2.Request] = []
        self._answers = answers

    async def handle(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        return self._answers[request.url.host](request)


def image(request: httpx2.Request) -> httpx2.Response:
    return httpx2.Response(200, content=IMAGE, headers={"content-type": "image/png"})


def redirect(to: str) -> Callable[[httpx2.Request], httpx2.Response]:
    return lambda request: httpx2.Response(302, headers={"location": to})


def fetcher(
    network: Network, addresses: dict[str, list[str]] | None = None, **fields: Any
) -> tuple[Fetcher, list[str]]:
    """With a resolver that counts what it was asked."""
    asked: list[str] = []

    async def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return (addresses or {}).get(host, [PUBLIC])

    made = Fetcher("https://api.ideogram.ai", spec(**fields), resolve)
    made._client._transport = httpx2.MockTransport(network.handle)
    return made, asked


async def test_the_connection_goes_to_the_address_that_was_checked() -> None:
    network = Network({PUBLIC: image})
    fetch, asked = fetcher(network)
    assert await fetch.fetch("https://img.ideogram.ai/a.png?exp=1&sig=2", 5) == IMAGE
    (request,) = network.requests
    assert (request.url.host, request.url.path, request.url.query) == (PUBLIC, "/a.png", b"exp=1&sig=2")
    assert request.headers["host"] == "img.ideogram.ai"
    assert request.extensions["sni_hostname"] == "img.ideogram.ai"
    assert request.headers["connection"] == "close"
    assert asked == ["img.ideogram.ai"]  # once: a name that changes its mind is not asked again
    assert "api-key" not in request.headers
    assert "authorization" not in request.headers


@pytest.mark.parametrize(
    "link",
    [
        "http://ideogram.ai/a.png",
        "https://evil.example/a.png",
        "https://notideogram.ai/a.png",
        "https://ideogram.ai.evil.example/a.png",
        "https://user:pass@ideogram.ai/a.png",
        "https://ideogram.ai:8443/a.png",
        "https://127.0.0.1/a.png",
        "file:///etc/passwd",
        "ftp://ideogram.ai/a.png",
        "http://[broken",
        "",
    ],
)
async def test_links_that_lead_elsewhere(link: str) -> None:
    network = Network({})
    fetch, _ = fetcher(network)
    with pytest.raises(ModelFailed) as caught:
        await fetch.fetch(link, 5)
    assert network.requests == []
    assert "evil" not in str(caught.value)


@pytest.mark.parametrize(
    "addresses", [["10.0.0.1"], ["169.254.169.254"], [PUBLIC, "127.0.0.1"], ["::1"], ["fd00::1"], []]
)
async def test_names_of_the_inside(addresses: list[str]) -> None:
    """One address of the inside is enough: a rebinding name mixes them."""
    network = Network({})
    fetch, _ = fetcher(network, {"ideogram.ai": addresses})
    with pytest.raises(ModelFailed, match="private network"):
        await fetch.fetch("https://ideogram.ai/a.png", 5)
    assert network.requests == []


@pytest.mark.parametrize(
    ("address", "public"),
    [
        (PUBLIC, True),
        ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", True),
        ("10.1.2.3", False),
        ("100.64.0.1", False),
        ("192.168.0.1", False),
        ("224.0.0.1", False),
        ("0.0.0.0", False),
        ("::ffff:10.0.0.1", False),
        (f"::ffff:{PUBLIC}", True),
        ("64:ff9b::a00:1", False),  # NAT64 of 10.0.0.1
        ("2002:a00:1::", False),  # 6to4 of 10.0.0.1
        ("fec0::1", False),
        ("fe80::1%eth0", False),
    ],
)
def test_addresses(address: str, public: bool) -> None:
    assert is_public(address) is public


async def test_redirects_are_links_like_the_first() -> None:
    other = "198.51.100.7" if is_public("198.51.100.7") else "93.184.215.15"
    network = Network({PUBLIC: redirect("https://cdn.ideogram.ai/b.png"), other: image})
    fetch, asked = fetcher(network, {"cdn.ideogram.ai": [other]})
    assert await fetch.fetch("https://ideogram.ai/a.png", 5) == IMAGE
    assert asked == ["ideogram.ai", "cdn.ideogram.ai"]


@pytest.mark.parametrize(
    "to", ["http://169.254.169.254/latest", "https://inside.ideogram.ai/", "//10.0.0.1/a.png", "http://x/"]
)
async def test_a_redirect_leads_no_further_than_a_link(to: str) -> None:
    network = Network({PUBLIC: redirect(to)})
    fetch, _ = fetcher(network, {"inside.ideogram.ai": ["10.0.0.1"]})
    with pytest.raises(ModelFailed):
        await fetch.fetch("https://ideogram.ai/a.png", 5)
    assert len(network.requests) == 1


async def test_a_link_may_not_lead_in_circles() -> None:
    network = Network({PUBLIC: redirect("https://ideogram.ai/a.png")})
    fetch, _ = fetcher(network)
    with pytest.raises(ModelFailed, match="in circles"):
        await fetch.fetch("https://ideogram.ai/a.png", 5)
    assert len(network.requests) == 4


async def test_a_relative_redirect_stays_on_the_host_that_was_named() -> None:
    answers = iter([redirect("/b.png"), image])
    network = Network({PUBLIC: lambda request: next(answers)(request)})
    fetch, asked = fetcher(network)
    assert await fetch.fetch("https://ideogram.ai/a.png", 5) == IMAGE
    assert asked == ["ideogram.ai", "ideogram.ai"]
    assert network.requests[1].headers["host"] == "ideogram.ai"


@pytest.mark.parametrize(
    ("response", "said"),
    [
        (httpx2.Response(403), "expired"),
        (httpx2.Response(404), "expired"),
        (httpx2.Response(200, content=b"<html>", headers={"content-type": "text/html"}), "no image"),
        (httpx2.Response(200, content=IMAGE), "no image"),
        (
            httpx2.Response(
                200, content=b"", headers={"content-type": "image/png", "content-encoding": "gzip"}
            ),
            "no image|could not be fetched",
        ),
        (httpx2.Response(200, content=bytes(2000), headers={"content-type": "image/png"}), "too large"),
    ],
)
async def test_what_is_no_image(response: httpx2.Response, said: str) -> None:
    fetch, _ = fetcher(Network({PUBLIC: lambda request: response}), max_result_bytes=1024)
    with pytest.raises(ModelFailed, match=said):
        await fetch.fetch("https://ideogram.ai/a.png", 5)


async def test_a_server_s_stumble_is_tried_once_more() -> None:
    answers = iter([lambda request: httpx2.Response(502), image])
    network = Network({PUBLIC: lambda request: next(answers)(request)})
    fetch, _ = fetcher(network)
    assert await fetch.fetch("https://ideogram.ai/a.png", 5) == IMAGE
    broken = Network({PUBLIC: lambda request: httpx2.Response(502)})
    fetch, _ = fetcher(broken)
    with pytest.raises(ModelFailed, match="could not be fetched"):
        await fetch.fetch("https://ideogram.ai/a.png", 5)
    assert len(broken.requests) == 2


@pytest.fixture
async def endless() -> AsyncIterator[str]:
    """A real server that sends more than it may without announcing it, or nothing at all."""

    async def flood(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "image/png"})
        await response.prepare(request)
        while True:
            await response.write(bytes(4096))

    async def silence(request: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    app = web.Application()
    app.router.add_get("/flood.png", flood)
    app.router.add_get("/silence.png", silence)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_a_flood_is_cut_off(endless: str) -> None:
    fetch = Fetcher(endless, spec(max_result_bytes=100_000))
    with pytest.raises(ModelFailed, match="too large"):
        await fetch.fetch(f"{endless}/flood.png", 5)
    await fetch.close()


async def test_silence_ends_with_the_time(endless: str) -> None:
    fetch = Fetcher(endless, spec())
    with pytest.raises(TimedOut):
        await fetch.fetch(f"{endless}/silence.png", 0.05)
    await fetch.close()

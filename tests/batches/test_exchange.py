import asyncio
import email.utils
import time
from collections.abc import Coroutine
from typing import Any

import pytest
from aiohttp import web

from batches.exchange import (
    ConnectionLost,
    Endpoint,
    EndpointError,
    Failed,
    NotReached,
    Pause,
    Rendered,
    Reply,
    Rules,
    Stopped,
    open_endpoint,
    render,
)
from batches.items import Item
from tests.batches.endpoints import IMAGE, Scripted, answer, error, item
from tests.loadtests.server import images_endpoint
from tests.loadtests.virtual_time import run_in_virtual_time

RULES = Rules(timeout_s=10, attempts=3, max_wait_s=60)


def timed(endpoint: Endpoint, rules: Rules = RULES) -> tuple[Rendered | Failed, float]:
    """How the item ended, and the seconds it took."""

    async def main() -> tuple[Rendered | Failed, float]:
        ending = await render(item(), endpoint, rules, Pause())
        return ending, asyncio.get_running_loop().time()

    return run_in_virtual_time(main())


def test_an_answer_holds_images_and_receipt() -> None:
    ending, seconds = timed(Scripted(answer(2, output_format="webp")))
    assert isinstance(ending, Rendered)
    assert (ending.images, ending.extension, ending.attempts) == ((IMAGE + b"\0", IMAGE + b"\1"), "webp", 1)
    assert ending.receipt is not None
    assert ending.receipt["model"] == "echo"
    assert seconds == 0


@pytest.mark.parametrize("status", [429, 503])
def test_later_means_after_what_the_endpoint_says(status: int) -> None:
    endpoint = Scripted(error(status, "busy", "7"), error(status, "busy", "2.5"), answer())
    ending, seconds = timed(endpoint)
    assert (type(ending), ending.attempts, seconds) == (Rendered, 3, 9.5)


def test_later_may_be_a_date() -> None:
    date = email.utils.formatdate(time.time() + 30, usegmt=True)
    assert timed(Scripted(error(503, "busy", date), answer()))[1] == pytest.approx(30, abs=2)


@pytest.mark.parametrize("header", [None, "soon"])
def test_without_a_time_the_waits_double(header: str | None) -> None:
    ending, seconds = timed(Scripted(error(503, "busy", header), error(503, "busy", header), answer()))
    assert isinstance(ending, Rendered)
    assert 0.5 + 1 <= seconds <= 1 + 2


def test_after_the_last_attempt_the_answer_is_the_ending() -> None:
    ending, _ = timed(Scripted(error(429, "refused_capacity", "1")))
    assert ending == Failed("refused_capacity", "refused_capacity, in words", 429, 3)


def test_nobody_waits_longer_than_the_rules_say() -> None:
    ending, seconds = timed(Scripted(error(429, "refused_capacity", "61")))
    assert (ending.attempts, seconds) == (1, 0)


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (error(400, "invalid_size"), Failed("invalid_size", "invalid_size, in words", 400, 1)),
        (error(500, "model_error"), Failed("model_error", "model_error, in words", 500, 1)),
        (Reply(502, b"<html>"), Failed("http_502", "the endpoint answered 502", 502, 1)),
        (Reply(302, b""), Failed("http_302", "the endpoint answered 302", 302, 1)),
        (Reply(200, b"[]"), Failed("bad_response", "the answer holds no image", 200, 1)),
        (answer(0), Failed("bad_response", "the answer holds no image", 200, 1)),
        (
            Reply(200, b'{"data": [{"b64_json": "%"}]}'),
            Failed("bad_response", "the answer holds no image", 200, 1),
        ),
        (
            Reply(200, b'{"data": [{"url": "x"}]}'),
            Failed("bad_response", "the answer holds no image", 200, 1),
        ),
    ],
)
def test_what_will_not_be_better_is_not_sent_again(reply: Reply, expected: Failed) -> None:
    assert timed(Scripted(reply))[0] == expected


class Slow:
    """Answers after so many seconds, each time by the next reply."""

    def __init__(self, seconds: float, *replies: Reply) -> None:
        self._seconds = seconds
        self._replies = list(replies)

    async def send(self, item: Item) -> Reply:
        await asyncio.sleep(self._seconds)
        return self._replies.pop(0)


def test_an_item_that_hangs_is_given_up() -> None:
    ending, seconds = timed(Slow(1e9))
    assert ending == Failed("timeout", "not answered within 10 s", None, 1)
    assert seconds == 10


def test_the_time_is_of_all_attempts_and_not_of_the_waits_between() -> None:
    endpoint = Slow(6, error(503, "busy", "30"), answer())
    ending, seconds = timed(endpoint)
    assert (ending.attempts, seconds) == (2, 6 + 30 + 4)
    assert isinstance(ending, Failed)
    assert ending.code == "timeout"


def test_a_lost_connection_is_the_items_failure_and_a_missing_endpoint_is_not() -> None:
    ending, _ = timed(Scripted(ConnectionLost("lost"), answer()))
    assert (type(ending), ending.attempts) == (Rendered, 2)
    ending, _ = timed(Scripted(ConnectionLost("lost")))
    assert ending == Failed("connection_lost", "lost", None, 3)
    with pytest.raises(EndpointError, match="cannot be reached: here"):
        timed(Scripted(NotReached("here")))


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_caller_is_no_failure_of_an_item(status: int) -> None:
    with pytest.raises(EndpointError, match="refuses the caller: invalid_api_key, in words"):
        timed(Scripted(error(status, "invalid_api_key")))


def test_a_pause_is_everybodys_and_ends_with_the_run() -> None:
    async def main() -> None:
        pause = Pause()
        endpoint = Scripted(error(429, "busy", "20"), answer())
        first = asyncio.create_task(render(item("a"), endpoint, RULES, pause))
        await asyncio.sleep(1)
        second = asyncio.create_task(render(item("b"), endpoint, RULES, pause))
        await asyncio.gather(first, second)
        assert endpoint.sent == ["a", "a", "b"]
        assert asyncio.get_running_loop().time() == 20
        pause.extend(1000)
        third = asyncio.create_task(render(item("c"), endpoint, RULES, pause))
        await asyncio.sleep(1)
        pause.stop.set()
        with pytest.raises(Stopped):
            await third
        assert asyncio.get_running_loop().time() == 21

    run_in_virtual_time(main())


def _send(base_url: str, key: str | None = None) -> Coroutine[Any, Any, Reply]:
    async def send() -> Reply:
        async with open_endpoint(base_url, key) as endpoint:
            return await endpoint.send(item("a"))

    return send()


async def test_over_http() -> None:
    seen: list[Any] = []

    async def busy(request: web.Request) -> web.Response:
        seen.append((request.headers.get("authorization"), await request.json()))
        return web.json_response({}, status=429, headers={"retry-after": "3"})

    async with images_endpoint(busy) as url:
        assert await _send(url, "secret") == Reply(429, b"{}", "3")
        await _send(url)
    assert seen == [("Bearer secret", {"prompt": "a"}), (None, {"prompt": "a"})]


async def test_over_http_redirects_are_not_followed() -> None:
    async def elsewhere(request: web.Request) -> web.Response:
        raise web.HTTPTemporaryRedirect("http://127.0.0.1:1/")

    async with images_endpoint(elsewhere) as url:
        assert (await _send(url, "secret")).status == 307


async def test_over_http_what_is_missing_and_what_breaks_off_differ() -> None:
    async def breaks_off(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-length": "100"})
        await response.prepare(request)
        await response.write(b"{")
        assert request.transport is not None
        request.transport.abort()
        return response

    async with images_endpoint(breaks_off) as url:
        with pytest.raises(ConnectionLost, match=r"the connection was lost \(Client"):
            await _send(url)
    with pytest.raises(NotReached, match=r"127\.0\.0\.1:"):
        await _send(url)

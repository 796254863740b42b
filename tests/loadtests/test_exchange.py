"""Over real sockets on loopback, with tiny counts."""

import json
import re

import numpy as np
import pytest
from aiohttp import web

from loadtests.exchange import open_exchange, read_answer
from loadtests.observation import Unanswered
from loadtests.target import Target
from loadtests.workload import Shot, calls
from tests.loadtests.server import error, images_endpoint, never_answer, receipt, success


def one_call(**fields):
    return next(iter(calls(np.zeros(1), [Shot("badge", ["x"], **fields)])))


async def ask(handler, timeout_s=5.0, headers=None):
    async with (
        images_endpoint(handler) as url,
        open_exchange(Target(url), timeout_s=timeout_s, headers=headers) as exchange,
    ):
        return await exchange.send(one_call(asset="ui-badge"))


async def test_a_call_carries_its_body_its_headers_and_a_trace_and_the_receipt_is_read():
    heard = {}

    async def handler(request):
        heard.update(headers=request.headers.copy(), body=await request.json())
        images = [{"rung": 2, "substitutions": [{}, {}], "pixels_sha256": "ab"}]
        return web.json_response(success(substituted=True, images=images))

    answer = await ask(handler, headers={"authorization": "Bearer k"})
    assert heard["body"]["atelier"] == {"asset": "ui-badge"}
    assert heard["headers"]["authorization"] == "Bearer k"
    trace = re.fullmatch(r"00-([0-9a-f]{32})-[0-9a-f]{16}-01", heard["headers"]["traceparent"])
    assert answer.trace_id == trace[1]
    assert answer.ok
    assert (answer.route, answer.model, answer.budget_ms) == ("badges", "typesetter", 300.0)
    assert (answer.substituted, answer.attempts, answer.rung) == (True, 3, 2)
    assert answer.pixels_sha256 == ("ab",)


async def test_an_error_body_gives_its_code():
    async def handler(request):
        return web.json_response(error("refused_capacity"), status=429)

    answer = await ask(handler)
    assert (answer.code, answer.status, answer.ok) == ("refused_capacity", 429, False)


async def test_no_answer_in_time_is_a_timeout_of_ours():
    assert (await ask(never_answer, timeout_s=0.05)).code == Unanswered.TIMEOUT


async def test_a_closed_port_is_a_connection_error():
    async with images_endpoint() as url:
        gone = url
    async with open_exchange(Target(gone), timeout_s=5) as exchange:
        assert (await exchange.send(one_call())).code == Unanswered.CONNECTION


async def test_a_connection_cut_short_is_a_connection_error():
    async def handler(request):
        request.transport.abort()
        return web.Response()

    assert (await ask(handler)).code == Unanswered.CONNECTION


async def test_redirects_are_not_followed():
    async def handler(request):
        raise web.HTTPFound("http://192.0.2.1/")

    assert (await ask(handler)).code == "http_302"


@pytest.mark.parametrize(
    "body", [b"", b"not json", b"[]", b"{}", b'{"data": []}', b'{"data": [{"url": "x"}]}']
)
def test_a_success_without_an_image_is_a_bad_response(body):
    assert read_answer(200, body).code == Unanswered.BAD_RESPONSE


@pytest.mark.parametrize("body", [b"", b"oops", b'{"error": "text"}', b'{"error": {"message": "no code"}}'])
def test_an_error_without_a_code_is_named_by_its_status(body):
    assert read_answer(503, body).code == "http_503"


def test_fields_missing_from_the_receipt_are_no_error():
    answer = read_answer(200, b'{"data": [{"b64_json": "AA=="}]}')
    assert answer.ok
    assert (answer.route, answer.attempts, answer.budget_ms) == (None, 1, None)
    assert read_answer(200, b'{"data": [{"b64_json": "AA=="}], "atelier": {"route": "r"}}').route == "r"
    assert receipt()["route"] == "badges"


def test_a_refusal_counts_for_the_route_it_names():
    body = json.dumps({"error": {"code": "refused_capacity", "message": "busy", "route": "badges"}}).encode()
    assert read_answer(429, body).route == "badges"
    assert read_answer(429, b'{"error": {"code": "x"}}').route is None

import asyncio
import threading

import pytest
from aiohttp import web

from loadtests.fleet import ReplicaWatch, read_fleet, watched_replicas
from loadtests.target import Target
from tests.loadtests.server import images_endpoint


def test_points_stand_where_a_number_changed_and_begin_with_the_schedule():
    watch = ReplicaWatch()
    for at_s, replicas in ((98.0, {"a": 1}), (99.5, {"a": 2}), (101.0, {"a": 2, "b": 0}), (103.5, {"a": 3})):
        watch.note(at_s, replicas)
    assert watch.summary(100.0) == {"replicas": {"a": [(0.0, 2), (3.5, 3)], "b": [(1.0, 0)]}}


def test_without_an_answer_the_reason_is_told():
    watch = ReplicaWatch()
    watch.failed("HTTP 404")
    assert watch.summary(0.0) == {"replicas_missing": "GET /v1/fleet told nothing: HTTP 404"}


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"<html>", b"{}", b'{"models": 3}', b'{"models": {"a": {"replicas": null}}}']
)
def test_what_is_no_fleet_tells_nothing(body):
    assert read_fleet(body) is None


async def test_a_service_is_asked_again_and_again_with_the_headers_given():
    keys, enough = [], threading.Event()

    async def fleet(request: web.Request) -> web.Response:
        keys.append(request.headers["authorization"])
        if len(keys) > 3:
            enough.set()
        return web.json_response({"models": {"a": {"replicas": len(keys)}}, "routers": 1})

    def watch(url: str) -> ReplicaWatch:
        with watched_replicas(Target(url), {"authorization": "Bearer k"}, interval_s=0.001) as watching:
            assert enough.wait(10)
        return watching

    async with images_endpoint(fleet=fleet) as url:
        told = await asyncio.to_thread(watch, url)
    ((_, points),) = told.trajectories(0.0).items()
    assert points[-1][1] >= 3
    assert set(keys) == {"Bearer k"}

"""`atelier batch` against an endpoint on loopback."""

import asyncio
import json
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from click.testing import CliRunner, Result

from batches.manifest import MANIFEST, Manifest
from serve.cli import main
from serve.cli.batch import STOPPED, checked_body
from tests.loadtests.server import Handler, answer_at_once, error, images_endpoint, success
from tests.serve.gateways import gateway, http


@contextmanager
def endpoint(handler: Handler = answer_at_once) -> Iterator[str]:
    """In a thread of its own: the command has the main one."""
    loop = asyncio.new_event_loop()
    ready: list[str] = []
    up, down = threading.Event(), asyncio.Event()

    async def serve() -> None:
        async with images_endpoint(handler) as url:
            ready.append(url)
            up.set()
            await down.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert up.wait(10)
    try:
        yield ready[0]
    finally:
        loop.call_soon_threadsafe(down.set)
        thread.join(10)
        loop.close()


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["batch", *map(str, arguments)])


def items(folder: Path, *rows: dict[str, Any]) -> Path:
    path = folder / "items.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def manifest(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / MANIFEST).read_text().splitlines()]


def badges(count: int) -> list[dict[str, Any]]:
    return [{"id": f"badge-{index}", "prompt": f"badge {index}"} for index in range(count)]


def test_images_manifest_and_summary(tmp_path: Path) -> None:
    sent: list[Any] = []

    async def handler(request: web.Request) -> web.Response:
        sent.append((request.headers.get("authorization"), await request.json()))
        return web.json_response(success(cost_usd=0.25))

    path, out = items(tmp_path, *badges(3)), tmp_path / "out"
    with endpoint(handler) as url:
        done = run(path, "--out", out, "--url", url)
    assert done.exit_code == 0
    assert "0.7500" in done.output
    assert [line["status"] for line in manifest(out)] == ["ok"] * 3
    assert {each.name for each in (out / "images").iterdir()} == {f"badge-{index}.png" for index in range(3)}
    assert {body["atelier"]["priority"] for _, body in sent} == {"batch"}
    assert len({body["atelier"]["seed"] for _, body in sent}) == 3
    assert {header for header, _ in sent} == {None}


def test_a_second_run_has_nothing_to_do(tmp_path: Path) -> None:
    path, out = items(tmp_path, *badges(2)), tmp_path / "out"
    with endpoint() as url:
        assert run(path, "--out", out, "--url", url).exit_code == 0
    done = run(path, "--out", out, "--url", url)  # nobody is there any more
    assert done.exit_code == 0
    assert len(manifest(out)) == 2


@pytest.mark.parametrize(("allowed", "status"), [(0, 1), (1, 1), (2, 0)])
def test_failures_decide_the_exit_status_and_can_be_rendered_again(
    tmp_path: Path, allowed: int, status: int
) -> None:
    async def two_fail(request: web.Request) -> web.Response:
        fails = (await request.json())["prompt"] in ("badge 0", "badge 2")
        return web.json_response(error("model_error"), status=500) if fails else web.json_response(success())

    path, out = items(tmp_path, *badges(3)), tmp_path / "out"
    with endpoint(two_fail) as url:
        done = run(path, "--out", out, "--url", url, "--max-failures", str(allowed))
    assert done.exit_code == status
    assert "model_error" in done.output
    with endpoint() as url:
        assert run(path, "--out", out, "--url", url, "--retry-failed").exit_code == 0
    assert sorted(line["id"] for line in manifest(out)) == ["badge-0", "badge-1", "badge-2"]
    assert all(line["status"] == "ok" for line in manifest(out))


def test_a_refused_key_stops_the_run_and_is_never_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuses(request: web.Request) -> web.Response:
        assert request.headers["authorization"] == "Bearer atl-secret"
        return web.json_response(error("invalid_api_key", "a valid API key is needed"), status=401)

    monkeypatch.setenv("RENDER_KEY", "atl-secret")
    path, out = items(tmp_path, *badges(9)), tmp_path / "out"
    with endpoint(refuses) as url:
        done = run(path, "--out", out, "--url", url, "--api-key-env", "RENDER_KEY")
    assert done.exit_code == STOPPED
    assert "a valid API key is needed" in done.output
    assert manifest(out) == []
    assert "atl-secret" not in done.output


def test_a_full_disk_stops_the_run_which_goes_on_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, out = items(tmp_path, *badges(5)), tmp_path / "out"

    def full(manifest: Manifest, name: str, data: bytes) -> str:
        if len(manifest.entries) == 2:
            raise OSError(28, "No space left on device")
        return write_image(manifest, name, data)

    write_image = Manifest.write_image
    with endpoint() as url:
        with monkeypatch.context() as patched:
            patched.setattr(Manifest, "write_image", full)
            stopped = run(path, "--out", out, "--url", url)
        assert (stopped.exit_code, len(manifest(out))) == (STOPPED, 2)
        assert "cannot be written to (No space left on device)" in stopped.output
        assert run(path, "--out", out, "--url", url).exit_code == 0
    assert len(manifest(out)) == 5


@pytest.mark.parametrize(
    ("rows", "more", "expected"),
    [
        ([{"prompt": "a", "sise": "1x1"}], [], "items.jsonl:1: sise: is not a field of a request"),
        ([{"prompt": "a"}, {"prompt": "b", "n": "x"}], [], "items.jsonl:2: n: "),
        ([{"prompt": " "}], [], "items.jsonl:1: prompt: is empty"),
        ([{"prompt": "a", "stream": True}], [], "items.jsonl:1: stream: "),
        ([{"prompt": "a", "response_format": "url"}], [], "items.jsonl:1: response_format: "),
        ([{"prompt": "a"}], ["--api-key-env", "NOT_SET"], "variable NOT_SET is not set"),
        ([{"prompt": "a"}], ["--url", "ftp://here"], "expected an http:// or https:// URL"),
    ],
)
def test_what_cannot_begin_says_why(
    tmp_path: Path, rows: list[dict[str, Any]], more: list[str], expected: str
) -> None:
    done = run(items(tmp_path, *rows), "--out", tmp_path / "out", *more)
    assert done.exit_code == 2
    assert expected in done.output
    assert not (tmp_path / "out" / MANIFEST).exists()


def test_items_can_be_checked_alone(tmp_path: Path) -> None:
    done = run(items(tmp_path, *badges(2)), "--check")
    assert (done.exit_code, "2 items" in done.output) == (0, True)
    assert run(items(tmp_path, *badges(2))).exit_code == 2  # and without --check it needs a folder


def test_text_becomes_what_the_field_is() -> None:
    body = {"prompt": "a", "n": "2", "atelier": {"seed": "7", "deterministic": "true"}}
    expected = {"prompt": "a", "n": 2, "atelier": {"seed": 7, "deterministic": True}}
    assert checked_body(body) == expected


async def test_what_is_sent_is_what_the_endpoint_reads(tmp_path: Path) -> None:
    from batches.items import read_items

    path = tmp_path / "items.csv"
    path.write_text("id,prompt,size,atelier.seed,atelier.asset\na,a poster,16x16,7,poster\n")
    [item] = read_items(path, checked_body)
    async with http(gateway()) as client:
        answer = await client.post("/v1/images/generations", json=item.body)
    assert (answer.status_code, answer.json()["atelier"]["images"][0]["seed"]) == (200, 7)


async def started(*arguments: Any) -> asyncio.subprocess.Process:
    """The command in a process of its own."""
    program = [sys.executable, "-c", "from serve.cli import main; main()", "batch"]
    return await asyncio.create_subprocess_exec(
        *program, *map(str, arguments), stderr=asyncio.subprocess.PIPE, env={**os.environ, "COLUMNS": "200"}
    )


class Renderer:
    """Of a thousand items 5% fail and 2% hang; one in fifty is asked to come back first."""

    def __init__(self) -> None:
        self.asked: Counter[int] = Counter()
        self.rendered: Counter[int] = Counter()
        self.in_flight: set[int] = set()
        self.half_way = asyncio.Event()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        index = int((await request.json())["prompt"].removeprefix("badge "))
        self.asked[index] += 1
        self.in_flight.add(index)
        try:
            if index % 50 == 7:
                await asyncio.Event().wait()
            if index % 50 == 3 and self.asked[index] == 1:
                return web.json_response(error("refused_capacity"), status=429, headers={"retry-after": "0"})
            self.rendered[index] += 1
            if self.rendered.total() >= 500:
                self.half_way.set()
            if index % 20 == 0:
                return web.json_response(error("model_error"), status=500)
            return web.json_response(success())
        finally:
            self.in_flight.discard(index)


@pytest.mark.timeout(90)
async def test_killed_in_the_middle_a_thousand_items_end_once_each(tmp_path: Path) -> None:
    renderer, out, concurrency = Renderer(), tmp_path / "out", 32
    path = items(tmp_path, *badges(1000))

    async with images_endpoint(renderer.handle) as url:
        options = ["--timeout", "2", "--concurrency", concurrency, "--max-failures", "70"]
        first = await started(path, "--out", out, "--url", url, *options)
        await renderer.half_way.wait()
        first.send_signal(signal.SIGKILL)
        assert await first.wait() == -signal.SIGKILL
        ended = {line["id"] for line in manifest_until_now(out)}
        assert 300 < len(ended) < 1000
        before = Counter(renderer.asked)
        second = await started(path, "--out", out, "--url", url, *options)
        assert await second.wait() == 0

    lines = manifest(out)
    assert len(lines) == 1000
    assert {line["id"] for line in lines} == {f"badge-{index}" for index in range(1000)}
    ended_as = Counter(line["error"]["code"] if line["error"] else "ok" for line in lines)
    assert ended_as == {"ok": 930, "model_error": 50, "timeout": 20}
    for line in lines:
        assert len(line["files"]) == (line["status"] == "ok")
        assert all((out / name).stat().st_size > 0 for name in line["files"])
    asked_again = {index for index, count in before.items() if renderer.asked[index] > count}
    assert asked_again.isdisjoint(int(name.removeprefix("badge-")) for name in ended)
    twice = {index for index, count in renderer.rendered.items() if count > 1}
    assert len(twice) <= concurrency  # no more than were under way when it was killed
    assert max(renderer.rendered.values()) <= 2
    assert not [each for each in (out / "images").iterdir() if each.name.startswith(".")]


def manifest_until_now(out: Path) -> list[dict[str, Any]]:
    """Of a run that was killed: the last line may be cut off."""
    text = (out / MANIFEST).read_text()
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]


async def test_the_first_interrupt_waits_for_what_was_sent(tmp_path: Path) -> None:
    arrived, release = asyncio.Event(), asyncio.Event()

    async def handler(request: web.Request) -> web.StreamResponse:
        arrived.set()
        await release.wait()
        return web.json_response(success())

    path, out = items(tmp_path, *badges(9)), tmp_path / "out"
    async with images_endpoint(handler) as url:
        process = await started(path, "--out", out, "--url", url, "--concurrency", "1")
        await arrived.wait()
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        assert b"stopping" in await process.stderr.readline()
        release.set()
        assert await process.wait() == STOPPED
    assert [line["id"] for line in manifest(out)] == ["badge-0"]

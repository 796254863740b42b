import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from serve.batches import worker
from serve.batches.bodies import Bodies
from serve.batches.database import Database
from serve.batches.execute import Later, LineAnswer
from serve.batches.queue import BatchQueue
from serve.batches.records import BatchRecord, BatchStatus, Claim
from serve.batches.store import BatchStore
from serve.batches.worker import BatchWorker, Execute, Work
from serve.config import Batches
from tests.serve.batches.stores import a_batch, a_file
from tests.serve.batches.test_lines import line


async def answered(claim: Claim) -> LineAnswer:
    return LineAnswer(400 if claim.line.custom_id == "bad" else 200, json.dumps({"of": claim.line.custom_id}))


def open_work(folder: Path, execute: Execute = answered, **config: Any) -> Work:
    database = Database(folder / "queue.sqlite3")
    bodies = Bodies(f"file://{folder}/files")
    settings = Batches(folder=str(folder), **config)
    return Work(BatchStore(database), BatchQueue(database), bodies, execute, settings, keeps_images=False)


def add(work: Work, *lines: bytes, **changes: Any) -> None:
    """The batch `b` of these lines."""
    now_s = int(time.time())
    work.bodies.write("file-1", [text + b"\n" for text in lines])
    times = {"created_at": now_s, "expires_at": now_s + 1000}
    work.store.add_file(a_file("file-1", **times))
    work.store.add_batch(a_batch("b", **{**times, **changes}), 9)


@asynccontextmanager
async def working(work: Work) -> AsyncIterator[BatchWorker]:
    worker = BatchWorker(work)
    task = asyncio.create_task(worker.run())
    try:
        yield worker
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(work: Work, reached: Callable[[BatchRecord], bool]) -> BatchRecord:
    async with asyncio.timeout(20):
        while True:
            batch = work.store.batch("b", None)
            assert batch is not None
            if reached(batch):
                return batch
            await asyncio.sleep(0.005)


def ended(batch: BatchRecord) -> bool:
    return batch.status in (
        BatchStatus.COMPLETED,
        BatchStatus.FAILED,
        BatchStatus.EXPIRED,
        BatchStatus.CANCELLED,
    )


def result(work: Work, file_id: str | None) -> list[dict[str, Any]]:
    assert file_id is not None
    return [json.loads(each) for each in work.bodies.lines(file_id, 10_000)]


async def test_answers_and_errors_go_to_files_of_their_own_in_the_order_of_the_input(tmp_path: Path) -> None:
    async def last_first(claim: Claim) -> LineAnswer:
        await asyncio.sleep(0.02 * (3 - claim.index))
        return await answered(claim)

    work = open_work(tmp_path, last_first, concurrency=4)
    add(work, line("c"), line("bad"), line("a"), line("b"))
    async with working(work):
        batch = await until(work, lambda batch: ended(batch) and not work.bodies.folders("parts"))
    assert (batch.status, batch.total, batch.completed, batch.failed) == (BatchStatus.COMPLETED, 4, 3, 1)
    output = result(work, batch.output_file_id)
    assert [each["custom_id"] for each in output] == ["c", "a", "b"]
    assert output[0] == {
        "id": "batch_req_b_0",
        "custom_id": "c",
        "response": {"status_code": 200, "request_id": "batch_req_b_0", "body": {"of": "c"}},
        "error": None,
    }
    errors = result(work, batch.error_file_id)
    assert [(each["custom_id"], each["response"]["status_code"]) for each in errors] == [("bad", 400)]


async def test_no_more_lines_at_once_than_the_config_says(tmp_path: Path) -> None:
    running, most = 0, 0

    async def counted(claim: Claim) -> LineAnswer:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.005)
        running -= 1
        return await answered(claim)

    work = open_work(tmp_path, counted, concurrency=3)
    add(work, *(line(str(index)) for index in range(12)))
    async with working(work):
        await until(work, ended)
    assert most == 3


async def test_a_file_with_problems_fails_the_batch_before_anything_is_rendered(tmp_path: Path) -> None:
    work = open_work(tmp_path)
    add(work, line("a"), b"{")
    async with working(work):
        batch = await until(work, ended)
    assert (batch.status, batch.total) == (BatchStatus.FAILED, 0)
    assert [(each.code, each.line) for each in batch.problems] == [("invalid_json_line", 2)]


async def test_an_input_that_is_gone_fails_the_batch(tmp_path: Path) -> None:
    work = open_work(tmp_path)
    add(work, line("a"))
    work.bodies.remove("file-1")
    async with working(work):
        batch = await until(work, ended)
    assert [each.code for each in batch.problems] == ["file_not_found"]


async def test_a_line_that_shall_come_later_does(tmp_path: Path) -> None:
    seen: list[int] = []

    async def first_later(claim: Claim) -> LineAnswer | Later:
        seen.append(claim.claims)
        return Later(0.01, counts=True) if len(seen) == 1 else await answered(claim)

    work = open_work(tmp_path, first_later)
    add(work, line("a"))
    async with working(work):
        batch = await until(work, ended)
    assert (batch.completed, seen) == (1, [1, 2])


async def test_stopping_gives_lines_back_and_the_next_start_goes_on_at_once(tmp_path: Path) -> None:
    begun = asyncio.Event()
    rendered: list[str] = []

    async def first_hangs(claim: Claim) -> LineAnswer:
        if claim.line.custom_id == "hangs" and not begun.is_set():
            begun.set()
            await asyncio.Event().wait()
        rendered.append(claim.line.custom_id)
        return await answered(claim)

    work = open_work(tmp_path, first_hangs, concurrency=1)
    add(work, line("a"), line("hangs"), line("b"))
    async with working(work):
        await begun.wait()
    assert rendered == ["a"]
    async with working(open_work(tmp_path, first_hangs)):
        batch = await until(work, ended)
    assert (batch.completed, sorted(rendered)) == (3, ["a", "b", "hangs"])


async def test_stopping_gives_a_file_back_that_is_being_read(tmp_path: Path) -> None:
    """The thread that reads it cannot be stopped: what it finds in the end is nobody's business any more."""
    begun, go_on, read = threading.Event(), threading.Event(), threading.Event()

    class SlowBodies(Bodies):
        def lines(self, name: str, longest_bytes: int) -> Iterator[bytes]:
            begun.set()
            go_on.wait(20)
            yield from super().lines(name, longest_bytes)
            read.set()

    work = open_work(tmp_path)
    add(work, line("a"), line("b"))
    try:
        async with working(replace(work, bodies=SlowBodies(f"file://{tmp_path}/files"))):
            await asyncio.to_thread(begun.wait, 20)
        async with working(open_work(tmp_path)):
            batch = await until(work, ended)
    finally:
        go_on.set()
    await asyncio.to_thread(read.wait, 20)
    assert (batch.status, batch.completed, batch.total) == (BatchStatus.COMPLETED, 2, 2)
    assert [each["custom_id"] for each in result(work, batch.output_file_id)] == ["a", "b"]
    assert work.store.batch("b", None) == batch


async def test_leases_are_extended_while_a_line_takes_longer(tmp_path: Path) -> None:
    calls = 0

    async def slow(claim: Claim) -> LineAnswer:
        nonlocal calls
        calls += 1
        await asyncio.sleep(1.5)
        return await answered(claim)

    work = open_work(tmp_path, slow, lease_s=1.0, concurrency=2)
    add(work, line("a"))
    async with working(work), working(open_work(tmp_path, slow, lease_s=1.0)):
        batch = await until(work, ended)
    assert (batch.completed, calls) == (1, 1)


async def test_what_expired_or_was_cancelled_is_said_line_by_line(tmp_path: Path) -> None:
    work = open_work(tmp_path)
    add(work, line("a"), expires_at=int(time.time()) - 1)
    async with working(work):
        batch = await until(work, ended)
    assert (batch.status, batch.output_file_id) == (BatchStatus.EXPIRED, None)
    assert result(work, batch.error_file_id) == [
        {
            "id": "batch_req_b_0",
            "custom_id": "a",
            "response": None,
            "error": {
                "code": "batch_expired",
                "message": "this request could not be executed before the completion window expired",
            },
        }
    ]


async def test_an_answer_that_could_not_be_written_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "KEEP_AGAIN_S", 0.0)
    work = open_work(tmp_path)
    write, fails = work.bodies.write, [OSError("the disk is full")]

    def write_at_last(name: str, chunks: Any) -> int:
        if name.startswith("parts") and fails:
            raise fails.pop()
        return write(name, chunks)

    monkeypatch.setattr(work.bodies, "write", write_at_last)
    add(work, line("a"))
    async with working(work):
        batch = await until(work, ended)
    assert (batch.completed, fails) == (1, [])


def test_tidying_removes_what_is_no_longer_kept(tmp_path: Path) -> None:
    work = open_work(tmp_path)
    now_s = time.time()
    work.bodies.write("old", [b"x"])
    work.store.add_file(a_file("old", expires_at=int(now_s) - 1))
    work.bodies.write("parts/gone/1", [b"x"])
    worker.tidy(work, now_s)
    assert work.store.files(None, None, None, 9, "desc") == []
    assert {each.name for each in (tmp_path / "files").iterdir()} == {"parts"}
    assert work.bodies.folders("parts") == []

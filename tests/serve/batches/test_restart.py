"""Killed servers lose nothing: the real application in processes of its own, by OpenAI's client."""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import openai
import pytest
from openai.types import Batch

from tests.serve.batches.test_lines import line

LINES = 60
CONCURRENCY = 4


@asynccontextmanager
async def served(
    folder: Path, journal: str, lease_s: float
) -> AsyncIterator[tuple[asyncio.subprocess.Process, openai.AsyncOpenAI]]:
    """Killed at the end, if not before."""
    process = await asyncio.create_subprocess_exec(
        *(
            sys.executable,
            "-m",
            "tests.serve.batches.server",
            str(folder),
            str(CONCURRENCY),
            journal,
            str(lease_s),
        ),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        port = int(await process.stdout.readline())
        async with openai.AsyncOpenAI(api_key="none", base_url=f"http://127.0.0.1:{port}/v1") as client:
            yield process, client
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def until(client: openai.AsyncOpenAI, batch_id: str, reached: Callable[[Batch], bool]) -> Batch:
    while True:
        batch = await client.batches.retrieve(batch_id)
        if reached(batch):
            return batch
        await asyncio.sleep(0.02)


def so_many(completed: int) -> Callable[[Batch], bool]:
    return lambda batch: batch.request_counts is not None and batch.request_counts.completed >= completed


def renders(folder: Path) -> Counter[int]:
    """How often each seed was rendered."""
    return Counter(int(text.split()[1]) for text in (folder / "rendered").read_text().splitlines())


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_a_server_that_is_killed_twice_loses_nothing(tmp_path: Path) -> None:
    items = [
        line(str(seed), body={"prompt": "a poster", "size": "16x16", "atelier": {"seed": seed}})
        for seed in range(LINES)
    ]
    async with served(tmp_path, "wal", 2) as (process, client):
        file = await client.files.create(file=("items.jsonl", b"\n".join(items)), purpose="batch")
        batch = await client.batches.create(
            input_file_id=file.id, endpoint="/v1/images/generations", completion_window="24h"
        )
        await until(client, batch.id, so_many(LINES // 3))
        process.kill()
        await process.wait()
    first = renders(tmp_path)
    assert LINES // 3 <= first.total() < LINES

    async with served(tmp_path, "wal", 2) as (process, client):
        assert (await client.files.content(file.id)).content == b"\n".join(items)
        await until(client, batch.id, so_many(2 * LINES // 3))
        process.kill()
        await process.wait()

    async with served(tmp_path, "wal", 2) as (_, client):
        batch = await until(client, batch.id, lambda batch: batch.status == "completed")
        assert batch.output_file_id is not None
        output = (await client.files.content(batch.output_file_id)).text.splitlines()
    assert [json.loads(each)["custom_id"] for each in output] == [str(seed) for seed in range(LINES)]
    assert batch.request_counts is not None
    assert batch.request_counts.model_dump() == {"total": LINES, "completed": LINES, "failed": 0}
    again = renders(tmp_path)
    assert set(again) == set(range(LINES))
    assert again.total() <= LINES + 2 * CONCURRENCY  # what was under way when it was killed
    assert max(again.values()) <= 3


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_two_servers_on_one_folder_render_each_line_once(tmp_path: Path) -> None:
    items = [
        line(str(seed), body={"prompt": "a poster", "size": "16x16", "atelier": {"seed": seed}})
        for seed in range(LINES)
    ]
    async with served(tmp_path, "delete", 60) as (_, here), served(tmp_path, "delete", 60) as (_, there):
        file = await here.files.create(file=("items.jsonl", b"\n".join(items)), purpose="batch")
        batch = await there.batches.create(
            input_file_id=file.id, endpoint="/v1/images/generations", completion_window="24h"
        )
        await until(here, batch.id, lambda batch: batch.status == "completed")
    assert renders(tmp_path) == Counter(range(LINES)), "whichever of the two came first to each line"

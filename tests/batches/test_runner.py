import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from batches.exchange import EndpointError, NotReached, Pause, Reply, Rules
from batches.items import Item
from batches.manifest import Entry, Manifest
from batches.runner import render_items
from tests.batches.endpoints import IMAGE, Scripted, answer, error, item


class Seen:
    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def ended(self, entry: Entry) -> None:
        self.entries.append(entry)


async def run(
    folder: Path, items: list[Item], endpoint: Any, concurrency: int = 2, pause: Pause | None = None
) -> list[dict[str, Any]]:
    """Lines of the manifest."""
    seen = Seen()
    with Manifest(folder) as manifest:
        rules = Rules(timeout_s=5, attempts=1)
        left = manifest.left(items)
        await render_items(left, endpoint, manifest, rules, concurrency, pause or Pause(), seen)
    lines = [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]
    assert [entry.id for entry in seen.entries] == [
        line["id"] for line in lines[-len(seen.entries) or len(lines) :]
    ]
    return lines


async def test_images_lie_beside_a_manifest_that_names_them(tmp_path: Path) -> None:
    endpoint = Scripted(answer(), answer(2, output_format="webp"), error(400, "invalid_size"))
    lines = await run(tmp_path, [item("a", 1), item("b", 2), item("c", 5)], endpoint, concurrency=1)
    assert [line["files"] for line in lines] == [["images/a.png"], ["images/b+0.webp", "images/b+1.webp"], []]
    assert (tmp_path / "images" / "b+1.webp").read_bytes() == IMAGE + b"\1"
    assert lines[0]["receipt"]["model"] == "echo"
    assert lines[0]["request_sha256"] == item("a").request_sha256
    assert (lines[2]["status"], lines[2]["line"]) == ("failed", 5)
    assert lines[2]["error"] == {"code": "invalid_size", "message": "invalid_size, in words", "status": 400}


async def test_so_many_at_once_and_no_more(tmp_path: Path) -> None:
    class Counting:
        running = most = 0

        async def send(self, item: Item) -> Reply:
            self.running += 1
            self.most = max(self.most, self.running)
            await asyncio.sleep(0)
            self.running -= 1
            return answer()

    endpoint = Counting()
    await run(tmp_path, [item(str(index)) for index in range(20)], endpoint, concurrency=3)
    assert endpoint.most == 3


async def test_when_the_endpoint_is_gone_nothing_is_written_off(tmp_path: Path) -> None:
    endpoint = Scripted(answer(), NotReached("here"))
    items = [item(str(index)) for index in range(5)]
    with pytest.raises(EndpointError):
        await run(tmp_path, items, endpoint, concurrency=1)
    assert len(await run(tmp_path, items, Scripted(answer()))) == 5
    assert endpoint.sent == ["0", "1"]


async def test_stopping_waits_for_what_was_sent(tmp_path: Path) -> None:
    pause = Pause()
    endpoint = Scripted(answer(), each=lambda item: pause.stop.set())
    items = [item(str(index)) for index in range(9)]
    assert [line["id"] for line in await run(tmp_path, items, endpoint, 2, pause)] in (["0"], ["0", "1"])
    again = Scripted(answer())
    assert len(await run(tmp_path, items, again)) == 9
    assert set(again.sent).isdisjoint(endpoint.sent)

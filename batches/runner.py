"""Renders items, so many at once, and notes each as it ends."""

import asyncio
from collections.abc import Iterable
from typing import Protocol

from batches.exchange import Endpoint, Failed, Pause, Rendered, Rules, Stopped, render
from batches.items import Item
from batches.manifest import Entry, Manifest


class Progress(Protocol):
    """Told of every item that ended. Must be quick."""

    def ended(self, entry: Entry) -> None: ...


async def render_items(
    items: Iterable[Item],
    endpoint: Endpoint,
    manifest: Manifest,
    rules: Rules,
    concurrency: int,
    pause: Pause,
    progress: Progress,
) -> None:
    """Until all have ended, or `pause.stop` is set: then what was sent is waited for and no more is sent.

    Raises EndpointError. Items that had not ended then, or when this is cancelled, are not noted.
    """
    left = iter(items)
    noting = asyncio.Lock()

    async def work() -> None:
        for item in left:
            if pause.stop.is_set():
                return
            started_s = asyncio.get_running_loop().time()
            try:
                ending = await render(item, endpoint, rules, pause)
            except Stopped:
                return
            total_ms = (asyncio.get_running_loop().time() - started_s) * 1000
            async with noting:
                entry = await asyncio.to_thread(note, manifest, item, ending, total_ms)
            progress.ended(entry)

    workers = [asyncio.create_task(work()) for _ in range(concurrency)]
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)


def note(manifest: Manifest, item: Item, ending: Rendered | Failed, total_ms: float) -> Entry:
    """First the images, then the line that says that they are there. Blocking."""
    files: tuple[str, ...] = ()
    receipt, error = None, None
    if isinstance(ending, Rendered):
        names = _names(item.id, ending)
        files = tuple(
            manifest.write_image(name, image) for name, image in zip(names, ending.images, strict=True)
        )
        receipt = ending.receipt
    else:
        error = {"code": ending.code, "message": ending.message, "status": ending.status}
    entry = Entry(
        id=item.id,
        line=item.line,
        status="failed" if error else "ok",
        request_sha256=item.request_sha256,
        attempts=ending.attempts,
        total_ms=round(total_ms, 3),
        files=files,
        receipt=receipt,
        error=error,
    )
    manifest.append(entry)
    return entry


def _names(item_id: str, rendered: Rendered) -> list[str]:
    """An id holds no `+`, so that no two items share a name."""
    if len(rendered.images) == 1:
        return [f"{item_id}.{rendered.extension}"]
    return [f"{item_id}+{index}.{rendered.extension}" for index in range(len(rendered.images))]

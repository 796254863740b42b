"""Batches and files as tests want them."""

from pathlib import Path
from typing import Any

from serve.batches.database import Database
from serve.batches.queue import BatchQueue, Chore
from serve.batches.records import BatchRecord, FileRecord, Line
from serve.batches.store import BatchStore

NOW_S = 1_800_000_000.0


def open_stores(folder: Path) -> tuple[BatchStore, BatchQueue]:
    database = Database(folder / "queue.sqlite3")
    return BatchStore(database), BatchQueue(database)


def a_file(file_id: str, **changes: Any) -> FileRecord:
    given: dict[str, Any] = {
        "tenant": None,
        "filename": "in.jsonl",
        "purpose": "batch",
        "size_bytes": 10,
        "created_at": int(NOW_S),
        "expires_at": int(NOW_S) + 1000,
        **changes,
    }
    return FileRecord(file_id, **given)


def a_batch(batch_id: str, **changes: Any) -> BatchRecord:
    given: dict[str, Any] = {
        "tenant": None,
        "input_file_id": "file-1",
        "endpoint": "/v1/images/generations",
        "base_url": "http://atelier",
        "created_at": int(NOW_S),
        "expires_at": int(NOW_S) + 1000,
        "output_ttl_s": 3600,
        **changes,
    }
    return BatchRecord(batch_id, **given)


def begun(store: BatchStore, queue: BatchQueue, batch_id: str, lines: int, tenant: str | None = None) -> None:
    """A batch in progress, with that many lines."""
    store.add_batch(a_batch(batch_id, tenant=tenant), max_open=100)
    chore = queue.claim_chore(NOW_S, 60)
    assert chore is not None
    assert (chore.chore, chore.batch.id) == (Chore.VALIDATE, batch_id)
    queue.begin(chore, [Line(f"{batch_id}-{index}", "{}") for index in range(lines)], NOW_S)

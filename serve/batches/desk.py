"""What callers do with files and batches, whoever they are: checks, limits, and the worker woken.

Everything is asked for by tenant. What is another tenant's does not exist.
"""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from serve.batches.bodies import CHUNK_BYTES, Bodies, BodyMissing
from serve.batches.database import Database
from serve.batches.queue import BatchQueue
from serve.batches.records import BatchRecord, BatchStatus, FileRecord
from serve.batches.schemas import BatchCreateRequest, ExpiresAfter
from serve.batches.store import (
    BatchStore,
    FileInUse,
    NoRoom,
    Order,
    TooManyOpen,
    new_batch_id,
    new_file_id,
)
from serve.batches.worker import BatchWorker, Execute, Work
from serve.config import Batches
from serve.errors import ApiError, bad_request

MAX_FILENAME_CHARS = 255


class BatchDesk:
    """Files and batches in `config.folder`, which must be set."""

    def __init__(self, config: Batches, execute: Execute, keeps_images: bool) -> None:
        """Raises DatabaseError."""
        assert config.folder is not None
        folder = Path(config.folder)
        self.config = config
        self._database = Database(folder / "queue.sqlite3", config.journal)
        self._store = BatchStore(self._database)
        self._bodies = Bodies(config.files_url or f"file://{folder.resolve()}/files")
        self._queue = BatchQueue(self._database)
        self._worker = BatchWorker(
            Work(self._store, self._queue, self._bodies, execute, config, keeps_images)
        )

    async def work(self) -> None:
        """Until it is cancelled."""
        await self._worker.run()

    async def lines_left(self) -> int:
        """How many lines of all batches have not ended."""
        return await asyncio.to_thread(self._queue.lines_left)

    def close(self) -> None:
        self._database.close()

    # ---- files ----

    async def add_file(
        self,
        tenant: str | None,
        filename: str,
        content: BinaryIO,
        size_bytes: int,
        expires_after: ExpiresAfter | None,
    ) -> FileRecord:
        now_s = int(time.time())
        ttl_s = self.config.file_ttl_s if expires_after is None else expires_after.seconds
        name = filename[:MAX_FILENAME_CHARS] or "batch.jsonl"
        file = FileRecord(new_file_id(), tenant, name, "batch", size_bytes, now_s, now_s + ttl_s)
        try:
            await asyncio.to_thread(self._store.add_file, file, self.config.max_bytes_per_tenant)
        except NoRoom:
            message = f"your files would be over {self.config.max_bytes_per_tenant} bytes: delete some"
            raise ApiError(403, "storage_full", message) from None
        try:
            await asyncio.to_thread(self._bodies.write, file.id, _chunks(content))
        except BaseException:
            self._store.delete_file(file.id, tenant)
            raise
        return file

    async def file(self, tenant: str | None, file_id: str) -> FileRecord:
        file = await asyncio.to_thread(self._store.file, file_id, tenant)
        if file is None or (file.expires_at is not None and file.expires_at <= time.time()):
            raise _no_file(file_id)
        return file

    async def files(
        self, tenant: str | None, purpose: str | None, after: str | None, limit: int, order: Order
    ) -> list[FileRecord]:
        return await asyncio.to_thread(self._store.files, tenant, purpose, after, limit, order)

    async def content(self, tenant: str | None, file_id: str) -> Iterator[bytes]:
        file = await self.file(tenant, file_id)
        try:
            return await asyncio.to_thread(self._bodies.read, file.id)
        except BodyMissing:
            raise _no_file(file_id) from None

    async def delete_file(self, tenant: str | None, file_id: str) -> None:
        try:
            deleted = await asyncio.to_thread(self._store.delete_file, file_id, tenant)
        except FileInUse:
            message = "a batch is reading this file: delete it once the batch is in progress"
            raise ApiError(409, "file_in_use", message, param="file_id") from None
        if not deleted:
            raise _no_file(file_id)
        await asyncio.to_thread(self._bodies.remove, file_id)

    # ---- batches ----

    async def add_batch(self, tenant: str | None, asked: BatchCreateRequest, base_url: str) -> BatchRecord:
        file = await self.file(tenant, asked.input_file_id)
        if file.purpose != "batch":
            message = "input_file_id names a result: upload a file with purpose batch"
            raise bad_request("invalid_parameter", message, "input_file_id")
        now_s = int(time.time())
        expires = asked.output_expires_after
        batch = BatchRecord(
            id=new_batch_id(),
            tenant=tenant,
            input_file_id=file.id,
            endpoint=asked.endpoint,
            base_url=base_url,
            created_at=now_s,
            expires_at=now_s + max(1, int(self.config.completion_window_s)),
            output_ttl_s=self.config.file_ttl_s if expires is None else expires.seconds,
            metadata=asked.metadata,
        )
        try:
            await asyncio.to_thread(self._store.add_batch, batch, self.config.max_open_per_tenant)
        except TooManyOpen:
            message = f"you have {self.config.max_open_per_tenant} unfinished batches: wait for one"
            raise ApiError(
                429, "too_many_batches", message, type="rate_limit_error", headers={"retry-after": "60"}
            ) from None
        self._worker.wake()
        return batch

    async def batch(self, tenant: str | None, batch_id: str) -> BatchRecord:
        return _found(await asyncio.to_thread(self._store.batch, batch_id, tenant), batch_id)

    async def batches(self, tenant: str | None, after: str | None, limit: int) -> list[BatchRecord]:
        return await asyncio.to_thread(self._store.batches, tenant, after, limit)

    async def cancel(self, tenant: str | None, batch_id: str) -> BatchRecord:
        cancelled = await asyncio.to_thread(self._store.cancel, batch_id, tenant, int(time.time()))
        batch = _found(cancelled, batch_id)
        if batch.status not in (BatchStatus.CANCELLING, BatchStatus.CANCELLED):
            message = f"the batch is {batch.status.value}: it can no longer be cancelled"
            raise ApiError(409, "batch_not_cancellable", message)
        self._worker.wake()
        return batch


def _no_file(file_id: str) -> ApiError:
    message = f"file {file_id[:64]!r} does not exist or has expired"
    return ApiError(404, "file_not_found", message, param="file_id")


def _found(batch: BatchRecord | None, batch_id: str) -> BatchRecord:
    if batch is None:
        raise ApiError(404, "batch_not_found", f"batch {batch_id[:64]!r} does not exist", param="batch_id")
    return batch


def _chunks(content: BinaryIO) -> Iterator[bytes]:
    content.seek(0)
    while chunk := content.read(CHUNK_BYTES):
        yield chunk

"""Files and batches by id and tenant, in SQLite. Blocking. A tenant finds nothing of another's."""

import json
import sqlite3
import uuid
from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Literal

from serve.batches.database import Database
from serve.batches.records import OPEN, BatchRecord, BatchStatus, FileRecord, Problem

Order = Literal["asc", "desc"]

_OPEN = ", ".join(f"'{status}'" for status in OPEN)
_FILE_COLUMNS = tuple(field.name for field in fields(FileRecord))
_BATCH_COLUMNS = tuple(field.name for field in fields(BatchRecord))


class TooManyOpen(Exception):
    """The tenant has as many unfinished batches as it may."""


class NoRoom(Exception):
    """The tenant's files would take more bytes than they may."""


class FileInUse(Exception):
    """A batch still reads the file."""


def new_file_id() -> str:
    return f"file-{uuid.uuid4().hex}"


def new_batch_id() -> str:
    return f"batch_{uuid.uuid4().hex}"


class BatchStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    # ---- files ----

    def add_file(self, file: FileRecord, max_tenant_bytes: int | None = None) -> None:
        """Raises NoRoom when the tenant's files together would be over `max_tenant_bytes`."""
        with self._database.writing() as connection:
            if max_tenant_bytes is not None:
                held = connection.execute(
                    "SELECT coalesce(sum(size_bytes), 0) FROM files WHERE tenant IS ?", (file.tenant,)
                ).fetchone()[0]
                if held + file.size_bytes > max_tenant_bytes:
                    raise NoRoom
            insert_file(connection, file)

    def file(self, file_id: str, tenant: str | None) -> FileRecord | None:
        row = self._database.row(
            "SELECT * FROM files WHERE id = :id AND tenant IS :tenant", {"id": file_id, "tenant": tenant}
        )
        return None if row is None else _file(row)

    def files(
        self, tenant: str | None, purpose: str | None, after: str | None, limit: int, order: Order
    ) -> list[FileRecord]:
        """At most `limit`, from the one behind `after` on; an unknown `after` is no place to begin: empty."""
        sql = f"""
            SELECT * FROM files WHERE tenant IS :tenant AND (:purpose IS NULL OR purpose = :purpose)
            AND {_behind("files", order)} ORDER BY seq {order} LIMIT :limit
        """
        values = {"tenant": tenant, "purpose": purpose, "after": after, "limit": limit}
        return [_file(row) for row in self._database.rows(sql, values)]

    def delete_file(self, file_id: str, tenant: str | None) -> bool:
        """False when there is none. Raises FileInUse while a batch has not yet read it."""
        with self._database.writing() as connection:
            reading = connection.execute(
                "SELECT 1 FROM batches WHERE input_file_id = ? AND status = ?",
                (file_id, BatchStatus.VALIDATING),
            )
            if reading.fetchone() is not None:
                raise FileInUse
            deleted = connection.execute("DELETE FROM files WHERE id = ? AND tenant IS ?", (file_id, tenant))
            return deleted.rowcount == 1

    def forget_files(self, now_s: float) -> list[str]:
        """Takes out what has expired and is not waited for; returns the ids, whose bodies can go."""
        with self._database.writing() as connection:
            rows = connection.execute(
                "DELETE FROM files WHERE expires_at <= ? AND id NOT IN "
                "(SELECT input_file_id FROM batches WHERE status = ?) RETURNING id",
                (now_s, BatchStatus.VALIDATING),
            ).fetchall()
        return [row["id"] for row in rows]

    # ---- batches ----

    def add_batch(self, batch: BatchRecord, max_open: int) -> None:
        """Raises TooManyOpen."""
        with self._database.writing() as connection:
            count = connection.execute(
                f"SELECT count(*) FROM batches WHERE tenant IS ? AND status IN ({_OPEN})", (batch.tenant,)
            ).fetchone()[0]
            if count >= max_open:
                raise TooManyOpen
            columns = (
                "id",
                "tenant",
                "input_file_id",
                "endpoint",
                "base_url",
                "created_at",
                "expires_at",
                "output_ttl_s",
                "metadata",
                "status",
            )
            values = {name: getattr(batch, name) for name in columns}
            values["metadata"] = None if batch.metadata is None else json.dumps(dict(batch.metadata))
            _insert(connection, "batches", values)

    def batch(self, batch_id: str, tenant: str | None) -> BatchRecord | None:
        row = self._database.row(
            "SELECT * FROM batches WHERE id = :id AND tenant IS :tenant", {"id": batch_id, "tenant": tenant}
        )
        return None if row is None else batch_from(row)

    def batches(self, tenant: str | None, after: str | None, limit: int) -> list[BatchRecord]:
        """Newest first, otherwise as `files`."""
        sql = f"""
            SELECT * FROM batches WHERE tenant IS :tenant AND {_behind("batches", "desc")}
            ORDER BY seq DESC LIMIT :limit
        """
        rows = self._database.rows(sql, {"tenant": tenant, "after": after, "limit": limit})
        return [batch_from(row) for row in rows]

    def cancel(self, batch_id: str, tenant: str | None, now_s: int) -> BatchRecord | None:
        """The batch as it then is: cancelling if it could still be, else as it was. None: there is none."""
        with self._database.writing() as connection:
            connection.execute(
                "UPDATE batches SET status = ?, cancelling_at = ? "
                "WHERE id = ? AND tenant IS ? AND status IN (?, ?)",
                (
                    BatchStatus.CANCELLING,
                    now_s,
                    batch_id,
                    tenant,
                    BatchStatus.VALIDATING,
                    BatchStatus.IN_PROGRESS,
                ),
            )
        return self.batch(batch_id, tenant)

    def open_batches(self) -> set[str]:
        return {
            row["id"] for row in self._database.rows(f"SELECT id FROM batches WHERE status IN ({_OPEN})", {})
        }

    def forget_batches(self, created_before_s: float) -> int:
        """Takes out finished batches that were made so long ago; returns how many."""
        with self._database.writing() as connection:
            return connection.execute(
                f"DELETE FROM batches WHERE created_at < ? AND status NOT IN ({_OPEN})", (created_before_s,)
            ).rowcount


def insert_file(connection: sqlite3.Connection, file: FileRecord) -> None:
    _insert(connection, "files", asdict(file))


def batch_from(row: sqlite3.Row) -> BatchRecord:
    values = {name: row[name] for name in _BATCH_COLUMNS}
    values["metadata"] = None if row["metadata"] is None else json.loads(row["metadata"])
    values["status"] = BatchStatus(row["status"])
    values["problems"] = tuple(Problem(**each) for each in json.loads(row["problems"]))
    return BatchRecord(**values)


def problems_text(problems: Sequence[Problem]) -> str:
    return json.dumps([asdict(problem) for problem in problems])


def _insert(connection: sqlite3.Connection, table: str, values: dict[str, object]) -> None:
    names = ", ".join(values)
    places = ", ".join(f":{name}" for name in values)
    connection.execute(f"INSERT INTO {table} ({names}) VALUES ({places})", values)


def _behind(table: str, order: Order) -> str:
    sign = "<" if order == "desc" else ">"
    place = f"SELECT seq FROM {table} WHERE id = :after AND tenant IS :tenant"
    return f"(:after IS NULL OR seq {sign} ({place}))"


def _file(row: sqlite3.Row) -> FileRecord:
    return FileRecord(**{name: row[name] for name in _FILE_COLUMNS})

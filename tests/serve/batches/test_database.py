import sqlite3
from pathlib import Path

import pytest

from serve.batches.database import SCHEMA_VERSION, Database, DatabaseError


@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_a_failed_transaction_leaves_nothing(tmp_path: Path, journal: str) -> None:
    database = Database(tmp_path / "new" / "queue.sqlite3", journal)  # type: ignore[arg-type]
    insert = "INSERT INTO files VALUES (1, 'f', NULL, 'x', 'batch', 1, 1, NULL)"
    with pytest.raises(RuntimeError), database.writing() as connection:  # noqa: PT012
        connection.execute(insert)
        raise RuntimeError
    assert database.rows("SELECT * FROM files", {}) == []
    assert database.row("PRAGMA journal_mode", {})["journal_mode"] == journal  # type: ignore[index]
    database.close()


def test_a_file_of_another_version_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "queue.sqlite3"
    Database(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    with pytest.raises(DatabaseError, match=r"schema 2 .* another batches\.folder"):
        Database(path)


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "queue.sqlite3"
    path.write_text("not a database, and long enough to be looked at " * 10)
    with pytest.raises(DatabaseError, match=r"queue\.sqlite3 cannot be used"):
        Database(path)

"""Who works on what: lines and chores of open batches, each claimed under a lease. Blocking.

A claim is written down before the work begins and is good until its lease ends; a worker extends the leases
of what it still does. So a line is rendered by one router replica at a time, and what a replica that died
was working on is claimed again. What a worker finishes counts only while the claim is still its own.

Turns go round between tenants, and between the batches of a tenant: a large batch does not hold up a small
one of somebody else.
"""

import sqlite3
import uuid
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from serve.batches.database import Database
from serve.batches.records import (
    BatchRecord,
    BatchStatus,
    Claim,
    FinishedLine,
    Line,
    LineReason,
    Problem,
    Results,
)
from serve.batches.store import batch_from, insert_file, problems_text

MAX_CLAIMS = 3
"""A line whose workers were lost so often is not tried again: it may be what they died of."""


class Chore(StrEnum):
    VALIDATE = "validate"
    FINALIZE = "finalize"


@dataclass(frozen=True, slots=True)
class ClaimedChore:
    chore: Chore
    batch: BatchRecord
    token: str


class BatchQueue:
    """`now_s` is Unix time everywhere; the clocks of the replicas must agree to well under a lease."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # ---- lines ----

    def claim(self, now_s: float, lease_s: float) -> Claim | None:
        """The next line to render, None when none can be."""
        values = {"now": now_s}
        if self._database.row(f"SELECT 1 FROM lines l WHERE {_CLAIMABLE} LIMIT 1", values) is None:
            return None  # without taking the write lock
        with self._database.writing() as connection:
            for batch in _in_turn(connection, now_s):
                claim = self._claim_of(connection, batch, now_s, lease_s)
                if claim is not None:
                    return claim
        return None

    def _claim_of(
        self, connection: sqlite3.Connection, batch: BatchRecord, now_s: float, lease_s: float
    ) -> Claim | None:
        while True:
            row = connection.execute(
                f"SELECT * FROM lines l WHERE batch_id = :batch AND {_CLAIMABLE} ORDER BY line LIMIT 1",
                {"batch": batch.id, "now": now_s},
            ).fetchone()
            if row is None:
                return None
            if row["claims"] >= MAX_CLAIMS:
                _give_up(connection, batch.id, row["line"], LineReason.WORKER_LOST)
                continue
            token = uuid.uuid4().hex
            connection.execute(
                "UPDATE lines SET state = 'running', token = ?, lease_until = ?, claims = claims + 1 "
                "WHERE batch_id = ? AND line = ?",
                (token, now_s + lease_s, batch.id, row["line"]),
            )
            connection.execute(
                "UPDATE batches SET turn = (SELECT max(turn) + 1 FROM batches) WHERE id = ?", (batch.id,)
            )
            return Claim(
                batch_id=batch.id,
                index=row["line"],
                token=token,
                tenant=batch.tenant,
                base_url=batch.base_url,
                line=Line(row["custom_id"], row["body"]),
                claims=row["claims"] + 1,
                output_ttl_s=batch.output_ttl_s,
            )

    def finish(self, claim: Claim, ok: bool, part: str) -> bool:
        """Keeps the answer that lies in `part`. False when the line is not this claim's any more: then it is
        somebody else's to answer, and the part can go."""
        with self._database.writing() as connection:
            updated = connection.execute(
                "UPDATE lines SET state = ?, part = ?, token = NULL, body = '' WHERE token = ?",
                ("ok" if ok else "failed", part, claim.token),
            )
            if updated.rowcount != 1:
                return False
            column = "completed" if ok else "failed"
            connection.execute(f"UPDATE batches SET {column} = {column} + 1 WHERE id = ?", (claim.batch_id,))
            return True

    def release(self, claim: Claim, not_before_s: float, counts: bool) -> None:
        """Back into the queue, to be claimed from `not_before_s` on. `counts` is whether it was a try; if
        not, the reason is not the line's own, and the whole batch waits until then."""
        with self._database.writing() as connection:
            connection.execute(
                "UPDATE lines SET state = 'waiting', token = NULL, not_before = ?, claims = claims - ? "
                "WHERE token = ?",
                (not_before_s, int(not counts), claim.token),
            )
            if not counts:
                connection.execute(
                    "UPDATE batches SET not_before = ? WHERE id = ?", (not_before_s, claim.batch_id)
                )

    def renew(self, tokens: Collection[str], now_s: float, lease_s: float) -> None:
        """Extends the leases of lines and chores that are still worked on."""
        with self._database.writing() as connection:
            for token in tokens:
                values = (now_s + lease_s, token)
                connection.execute("UPDATE lines SET lease_until = ? WHERE token = ?", values)
                connection.execute("UPDATE batches SET chore_until = ? WHERE chore_token = ?", values)

    def lines_left(self) -> int:
        """How many lines of all batches have not ended."""
        states = self._database.rows(
            "SELECT count(*) AS count FROM lines WHERE state IN ('waiting', 'running')", {}
        )
        count: int = states[0]["count"]
        return count

    # ---- chores ----

    def claim_chore(self, now_s: float, lease_s: float) -> ClaimedChore | None:
        """A batch to validate, or one whose lines have all ended to put together."""
        if not self._database.rows(_CHORES, {"now": now_s}) and not self._over(now_s):
            return None
        with self._database.writing() as connection:
            self._end_lines(connection, now_s)
            row = connection.execute(_CHORES, {"now": now_s}).fetchone()
            if row is None:
                return None
            batch, token = batch_from(row), uuid.uuid4().hex
            validates = batch.status is BatchStatus.VALIDATING
            connection.execute(
                "UPDATE batches SET status = ?, finalizing_at = ? WHERE id = ? AND status = ? AND NOT EXISTS "
                "(SELECT 1 FROM lines l WHERE l.batch_id = batches.id AND l.reason = ?)",
                (
                    BatchStatus.FINALIZING,
                    int(now_s),
                    batch.id,
                    BatchStatus.IN_PROGRESS,
                    LineReason.EXPIRED,
                ),
            )
            connection.execute(
                "UPDATE batches SET chore_token = ?, chore_until = ? WHERE id = ?",
                (token, now_s + lease_s, batch.id),
            )
            fresh = connection.execute("SELECT * FROM batches WHERE id = ?", (batch.id,)).fetchone()
        chore = Chore.VALIDATE if validates else Chore.FINALIZE
        return ClaimedChore(chore, batch_from(fresh), token)

    def begin(self, chore: ClaimedChore, lines: Sequence[Line], now_s: float) -> None:
        """Ends a validation that found nothing wrong."""
        with self._database.writing() as connection:
            taken = connection.execute(
                "UPDATE batches SET status = ?, in_progress_at = ?, total = ?, chore_token = NULL, "
                "chore_until = 0 WHERE chore_token = ? AND status = ?",
                (BatchStatus.IN_PROGRESS, int(now_s), len(lines), chore.token, BatchStatus.VALIDATING),
            )
            if taken.rowcount != 1:
                _leave(connection, chore)
                return
            connection.executemany(
                "INSERT INTO lines (batch_id, line, custom_id, body) VALUES (?, ?, ?, ?)",
                ((chore.batch.id, index, line.custom_id, line.body) for index, line in enumerate(lines)),
            )

    def refuse(self, chore: ClaimedChore, problems: Sequence[Problem], now_s: float) -> None:
        """Ends a validation that found problems."""
        with self._database.writing() as connection:
            connection.execute(
                "UPDATE batches SET status = ?, failed_at = ?, problems = ? "
                "WHERE chore_token = ? AND status = ?",
                (
                    BatchStatus.FAILED,
                    int(now_s),
                    problems_text(problems),
                    chore.token,
                    BatchStatus.VALIDATING,
                ),
            )
            _leave(connection, chore)

    def leave(self, chore: ClaimedChore) -> None:
        """Lets somebody else do the chore at once."""
        with self._database.writing() as connection:
            _leave(connection, chore)

    def finished_lines(self, batch_id: str) -> Iterable[FinishedLine]:
        """All lines of a batch, in the order of the input."""
        rows = self._database.rows(
            "SELECT line, custom_id, state, part, reason FROM lines WHERE batch_id = :batch ORDER BY line",
            {"batch": batch_id},
        )
        for row in rows:
            reason = None if row["reason"] is None else LineReason(row["reason"])
            yield FinishedLine(row["line"], row["custom_id"], row["state"] == "ok", row["part"], reason)

    def complete(self, chore: ClaimedChore, results: Results, now_s: float) -> bool:
        """The batch ends, with its result files. False when the chore is not this token's any more."""
        match chore.batch.status:
            case BatchStatus.CANCELLING:
                status, column = BatchStatus.CANCELLED, "cancelled_at"
            case BatchStatus.FINALIZING:
                status, column = BatchStatus.COMPLETED, "completed_at"
            case _:
                status, column = BatchStatus.EXPIRED, "expired_at"
        with self._database.writing() as connection:
            updated = connection.execute(
                f"UPDATE batches SET status = ?, {column} = ?, output_file_id = ?, error_file_id = ? "
                "WHERE chore_token = ?",
                (
                    status,
                    int(now_s),
                    results.output and results.output.id,
                    results.errors and results.errors.id,
                    chore.token,
                ),
            )
            if updated.rowcount != 1:
                return False
            for file in (results.output, results.errors):
                if file is not None:
                    insert_file(connection, file)
            connection.execute("DELETE FROM lines WHERE batch_id = ?", (chore.batch.id,))
            _leave(connection, chore)
            return True

    def _over(self, now_s: float) -> bool:
        """Whether lines wait that will not be rendered any more."""
        return self._database.row(f"SELECT 1 {_ENDED} LIMIT 1", {"now": now_s}) is not None

    def _end_lines(self, connection: sqlite3.Connection, now_s: float) -> None:
        """What waits in a batch that was cancelled or has expired fails; what runs may still end."""
        ended = connection.execute(f"SELECT l.batch_id, l.line, b.status {_ENDED}", {"now": now_s}).fetchall()
        for row in ended:
            cancelled = row["status"] == BatchStatus.CANCELLING
            reason = LineReason.CANCELLED if cancelled else LineReason.EXPIRED
            _give_up(connection, row["batch_id"], row["line"], reason)


_CLAIMABLE = """
    (
        SELECT status = 'in_progress' AND expires_at > :now AND b.not_before <= :now
        FROM batches b WHERE b.id = l.batch_id
    )
    AND ((state = 'waiting' AND l.not_before <= :now) OR (state = 'running' AND lease_until < :now))
"""
_ENDED = """
    FROM lines l JOIN batches b ON b.id = l.batch_id
    WHERE (b.status = 'cancelling' OR (b.status = 'in_progress' AND b.expires_at <= :now))
    AND (l.state = 'waiting' OR (l.state = 'running' AND l.lease_until < :now))
"""
_CHORES = """
    SELECT * FROM batches b WHERE chore_until < :now AND (
        status IN ('validating', 'finalizing') OR (
            status IN ('in_progress', 'cancelling')
            AND NOT EXISTS (
                SELECT 1 FROM lines l WHERE l.batch_id = b.id AND l.state IN ('waiting', 'running')
            )
        )
    ) ORDER BY seq LIMIT 1
"""


def _in_turn(connection: sqlite3.Connection, now_s: float) -> list[BatchRecord]:
    """Batches in progress: first those of the tenant with the least running, then by whose turn was longest
    ago."""
    rows = connection.execute(
        "SELECT b.*, (SELECT count(*) FROM lines l WHERE l.batch_id = b.id AND l.state = 'running' "
        "AND l.lease_until >= :now) AS running "
        "FROM batches b WHERE status = 'in_progress' AND expires_at > :now ORDER BY seq",
        {"now": now_s},
    ).fetchall()
    running: dict[str | None, int] = {}
    last_turn: dict[str | None, int] = {}
    for row in rows:
        tenant = row["tenant"]
        running[tenant] = running.get(tenant, 0) + row["running"]
        last_turn[tenant] = max(last_turn.get(tenant, 0), row["turn"])
    rows.sort(key=lambda row: (running[row["tenant"]], last_turn[row["tenant"]], row["turn"]))
    return [batch_from(row) for row in rows]


def _give_up(connection: sqlite3.Connection, batch_id: str, line: int, reason: LineReason) -> None:
    connection.execute(
        "UPDATE lines SET state = 'failed', token = NULL, body = '', reason = ? "
        "WHERE batch_id = ? AND line = ?",
        (reason, batch_id, line),
    )
    connection.execute("UPDATE batches SET failed = failed + 1 WHERE id = ?", (batch_id,))


def _leave(connection: sqlite3.Connection, chore: ClaimedChore) -> None:
    connection.execute(
        "UPDATE batches SET chore_token = NULL, chore_until = 0 WHERE chore_token = ?", (chore.token,)
    )

"""What a router replica does for batches in the background: validates, renders, puts together, tidies up.

Everything it does is claimed first, so that any number of replicas may run one. Knows nothing of HTTP and
nothing of how a line is rendered.
"""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

from serve.batches.bodies import Bodies, BodyMissing
from serve.batches.execute import Later, LineAnswer
from serve.batches.lines import MAX_LINE_BYTES, read_lines
from serve.batches.queue import BatchQueue, Chore, ClaimedChore
from serve.batches.records import BatchRecord, Claim, FileRecord, FinishedLine, LineReason, Problem, Results
from serve.batches.store import BatchStore
from serve.config import Batches

logger = logging.getLogger("atelier.batches")

POLL_INTERVAL_S = 1.0
TIDY_INTERVAL_S = 600.0
KEEP_AGAIN_S = 30.0
LONGEST_PAUSE_S = 60.0
PARTS = "parts"

Execute = Callable[[Claim], Awaitable[LineAnswer | Later]]

_REASONS = {
    LineReason.EXPIRED: "this request could not be executed before the completion window expired",
    LineReason.CANCELLED: "the batch was cancelled before this request was executed",
    LineReason.WORKER_LOST: "the server was lost each time it worked on this request",
}


@dataclass(frozen=True, slots=True)
class Work:
    """What the worker works on and with. `keeps_images` says that images answered by URL are on disk."""

    store: BatchStore
    queue: BatchQueue
    bodies: Bodies
    execute: Execute
    config: Batches
    keeps_images: bool


class BatchWorker:
    """`run` until it is cancelled; `wake` when there may be something to do."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._wake = asyncio.Event()
        self._lines: dict[str, asyncio.Task[None]] = {}
        self._chore: asyncio.Task[None] | None = None
        self._held: set[str] = set()
        self._tidied_s = 0.0

    def wake(self) -> None:
        self._wake.set()

    async def run(self) -> None:
        """What was claimed is given back at the end, so that others, or the next start, go on at once."""
        heart = asyncio.create_task(self._keep_leases())
        try:
            while True:
                self._wake.clear()
                try:
                    await self._start_what_can_be()
                except Exception:
                    logger.exception("the batch queue could not be looked at; it will be tried again")
                await self._until_something_happens()
        finally:
            tasks = [heart, *self._lines.values(), *([self._chore] if self._chore else [])]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _start_what_can_be(self) -> None:
        work, now_s = self._work, time.time()
        if self._chore is None:
            chore = await asyncio.to_thread(work.queue.claim_chore, now_s, work.config.lease_s)
            if chore is not None:
                self._held.add(chore.token)
                self._chore = asyncio.create_task(self._do(chore))
            elif now_s - self._tidied_s > TIDY_INTERVAL_S:
                self._tidied_s = now_s
                await asyncio.to_thread(tidy, work, now_s)
        while len(self._lines) < work.config.concurrency:
            claim = await asyncio.to_thread(work.queue.claim, time.time(), work.config.lease_s)
            if claim is None:
                return
            self._held.add(claim.token)
            self._lines[claim.token] = asyncio.create_task(self._render(claim))

    async def _until_something_happens(self) -> None:
        try:
            async with asyncio.timeout(POLL_INTERVAL_S):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _keep_leases(self) -> None:
        lease_s = self._work.config.lease_s
        while True:
            await asyncio.sleep(lease_s / 3)
            try:
                await asyncio.to_thread(self._work.queue.renew, tuple(self._held), time.time(), lease_s)
            except Exception:
                logger.exception("the leases of batch lines could not be extended")

    # ---- lines ----

    async def _render(self, claim: Claim) -> None:
        try:
            answer = await self._work.execute(claim)
            if isinstance(answer, Later):
                await self._release(claim, answer.after_s, answer.counts)
            else:
                await asyncio.to_thread(keep, self._work, claim, answer)
        except asyncio.CancelledError:
            self._work.queue.release(claim, 0.0, counts=False)
            raise
        except Exception:
            logger.exception("%s could not be kept; it will be rendered again", claim.request_id)
            await self._release(claim, KEEP_AGAIN_S, counts=False)
        finally:
            self._held.discard(claim.token)
            del self._lines[claim.token]
            self._wake.set()

    async def _release(self, claim: Claim, after_s: float, counts: bool) -> None:
        after_s = min(after_s, LONGEST_PAUSE_S)
        await asyncio.to_thread(self._work.queue.release, claim, time.time() + after_s, counts)

    # ---- chores ----

    async def _do(self, chore: ClaimedChore) -> None:
        try:
            work = validate if chore.chore is Chore.VALIDATE else put_together
            await asyncio.to_thread(work, self._work, chore, time.time())
        except asyncio.CancelledError:
            # The thread works on, but what it ends with counts only while its token does.
            self._work.queue.leave(chore)
            raise
        except Exception:
            logger.exception("%s of %s failed; it will be tried again", chore.chore.value, chore.batch.id)
            await asyncio.sleep(POLL_INTERVAL_S)
            await asyncio.to_thread(self._work.queue.leave, chore)
        finally:
            self._held.discard(chore.token)
            self._chore = None
            self._wake.set()


def keep(work: Work, claim: Claim, answer: LineAnswer) -> None:
    """Writes the line of the result file, then says that it is there. Blocking."""
    response = {"status_code": answer.status, "request_id": claim.request_id, "body": json.loads(answer.body)}
    line = {
        "id": claim.request_id,
        "custom_id": claim.line.custom_id,
        "response": response,
        "error": None,
    }
    part = f"{PARTS}/{claim.batch_id}/{claim.index}-{claim.token}"
    work.bodies.write(part, [_text(line)])
    if not work.queue.finish(claim, answer.status == 200, part):
        work.bodies.remove(part)


def validate(work: Work, chore: ClaimedChore, now_s: float) -> None:
    """Reads the input file and begins the batch, or refuses it. Blocking."""
    try:
        raw = work.bodies.lines(chore.batch.input_file_id, MAX_LINE_BYTES)
    except BodyMissing:
        work.queue.refuse(chore, [Problem("file_not_found", "the input file is gone")], now_s)
        return
    lines, problems = read_lines(raw, work.config.max_lines, work.keeps_images)
    if problems:
        work.queue.refuse(chore, problems, now_s)
    else:
        work.queue.begin(chore, lines, now_s)


def put_together(work: Work, chore: ClaimedChore, now_s: float) -> None:
    """Joins the lines into the result files, in the order of the input. Blocking.

    Done again after an interruption it writes the same files.
    """
    batch = chore.batch
    results = Results(
        _result_file(work, batch, "output", now_s, ok=True),
        _result_file(work, batch, "error", now_s, ok=False),
    )
    if work.queue.complete(chore, results, now_s):
        work.bodies.remove_folder(f"{PARTS}/{batch.id}")


def _result_file(work: Work, batch: BatchRecord, kind: str, now_s: float, ok: bool) -> FileRecord | None:
    lines = [line for line in work.queue.finished_lines(batch.id) if line.ok is ok]
    if not lines:
        return None
    file_id = f"file-{batch.id.removeprefix('batch_')}-{kind}"
    size_bytes = work.bodies.write(file_id, _joined(work.bodies, batch, lines))
    return FileRecord(
        id=file_id,
        tenant=batch.tenant,
        filename=f"{batch.id}_{kind}.jsonl",
        purpose="batch_output",
        size_bytes=size_bytes,
        created_at=int(now_s),
        expires_at=int(now_s) + batch.output_ttl_s,
    )


def _joined(bodies: Bodies, batch: BatchRecord, lines: list[FinishedLine]) -> Iterator[bytes]:
    for line in lines:
        if line.part is not None:
            yield from bodies.read(line.part)
        elif line.reason is not None:
            yield _text(
                {
                    "id": f"batch_req_{batch.id.removeprefix('batch_')}_{line.index}",
                    "custom_id": line.custom_id,
                    "response": None,
                    "error": {"code": line.reason.value, "message": _REASONS[line.reason]},
                }
            )


def tidy(work: Work, now_s: float) -> None:
    """Removes what is no longer kept, and what a crash left behind. Blocking."""
    for file_id in work.store.forget_files(now_s):
        work.bodies.remove(file_id)
    work.store.forget_batches(now_s - work.config.file_ttl_s)
    open_batches = work.store.open_batches()
    for name in work.bodies.folders(PARTS):
        if name not in open_batches:
            work.bodies.remove_folder(f"{PARTS}/{name}")


def _text(line: object) -> bytes:
    return json.dumps(line, separators=(",", ":")).encode() + b"\n"

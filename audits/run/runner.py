"""Asks what has no answer yet, so many at once, and records each answer as it comes.

An endpoint that goes away ends the run: what it did not answer is asked again by the next one. Does not
judge pictures.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from audits.run.asking import Endpoint, EndpointError, Reply
from audits.run.plan import Cell, body_of, cells
from audits.run.records import OK, Answer, Records
from audits.run.spec import AuditSpec

Progress = Callable[[int], None]
"""Told how many answers there are."""


async def ask_all(spec: AuditSpec, endpoint: Endpoint, records: Records, progress: Progress) -> None:
    """Raises EndpointError. Cancelling it loses only answers that have not come."""
    asker = _Asker(spec, endpoint, records, progress)
    waiting = [cell for cell in cells(spec) if cell.id not in records.answers]
    progress(len(records.answers))
    await asker.ask((cell for cell in waiting if not cell.alone), spec.concurrency)
    await asker.ask((cell for cell in waiting if cell.alone), 1)


class _Asker:
    def __init__(self, spec: AuditSpec, endpoint: Endpoint, records: Records, progress: Progress) -> None:
        self._spec = spec
        self._endpoint = endpoint
        self._records = records
        self._progress = progress

    async def ask(self, waiting: Iterable[Cell], concurrency: int) -> None:
        shared = iter(waiting)

        async def worker() -> None:
            for cell in shared:
                reply = await self._endpoint.ask(body_of(cell, self._spec))
                self._records.add(self._answer(cell, reply))
                self._progress(len(self._records.answers))

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(concurrency):
                    group.create_task(worker())
        except* EndpointError as errors:
            raise EndpointError(str(errors.exceptions[0])) from None

    def _answer(self, cell: Cell, reply: Reply) -> Answer:
        if reply.outcome != OK or reply.image is None:
            return Answer(cell.id, reply.outcome, reply.latency_ms, reply.message)
        picture, digest = self._records.keep(reply.image, reply.extension)
        receipt = reply.receipt
        stages = _stages(receipt)
        models = tuple(str(each.get("model")) for each in stages) or _named(receipt)
        wanted = self._spec.candidates[cell.candidate].stages
        return Answer(
            cell.id,
            OK,
            reply.latency_ms,
            picture=picture,
            sha256=digest,
            models=models,
            revisions=tuple(str(each.get("revision")) for each in stages),
            steps=stages[0].get("steps") if stages else None,
            substituted=bool(receipt.get("substituted")) or (wanted is not None and models != wanted),
            gpu_s=float(receipt.get("gpu_s") or 0.0),
            cost_usd=float(receipt.get("cost_usd") or 0.0),
            receipt=receipt or None,
        )


def _stages(receipt: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    images = receipt.get("images") or [{}]
    return [each for each in images[0].get("stages") or () if isinstance(each, dict)]


def _named(receipt: Mapping[str, Any]) -> tuple[str, ...]:
    model = receipt.get("model")
    return tuple(str(model).split("+")) if model else ()

"""The gate in front of a model: so many at once, the rest in a bounded fair queue, nobody beyond a deadline.

Asyncio, one event loop. With the gate's capacity at what the replicas can work on, queues build up here,
where they are shared fairly and can be left at any moment, and not inside the replicas. Batch work takes at
most three quarters of the places: work in progress is not interrupted, and interactive requests must not
always find all places taken by it.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from routing.fairqueue import BATCH, INTERACTIVE, PRIORITIES, FairQueue, Ticket


class NotAdmitted(Exception):
    """The request did not get in. `retry_after_s` is the predicted time until the queue has room."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message, retry_after_s)
        self.message = message
        self.retry_after_s = retry_after_s


@dataclass(slots=True)
class Gate:
    """`capacity` is how many requests of the model may run at once; it may be changed while running."""

    capacity: int
    queue: FairQueue
    clock: Callable[[], float] = time.monotonic
    _running: dict[Ticket, float] = field(default_factory=dict)
    _waiting: dict[Ticket, asyncio.Future[None]] = field(default_factory=dict)

    @asynccontextmanager
    async def admitted(
        self,
        tenant: str | None,
        cost_ms: float,
        *,
        weight: float = 1.0,
        priority: str = INTERACTIVE,
        timeout_s: float | None = None,
    ) -> AsyncIterator[None]:
        """Holds a place while the body runs. Raises NotAdmitted when the queue is full, when a fairer share
        took the place in it, or when `timeout_s` is over."""
        ticket = Ticket(tenant, cost_ms, weight, priority)
        await self._enter(ticket, timeout_s)
        try:
            yield
        finally:
            self._running.pop(ticket, None)
            self._admit_next()

    def wait_ms(self, tenant: str | None, priority: str = INTERACTIVE) -> float:
        """Predicted wait of a new request of this tenant: 0 with a free place, else until one is free and
        what goes before it is done."""
        if self._has_room(priority):
            return 0.0
        now_s = self.clock()
        first_free_s = min(self._running.values(), default=now_s)
        until_free_ms = max(0.0, first_free_s - now_s) * 1000
        return until_free_ms + sum(self.queue.costs_ahead_ms(tenant, priority)) / max(1, self.capacity)

    def costs_ahead_ms(self, tenant: str | None, priority: str = INTERACTIVE) -> Sequence[float]:
        """Predicted work of each request that waits here and goes before a new one of this tenant."""
        return self.queue.costs_ahead_ms(tenant, priority) if len(self.queue) else ()

    def set_capacity(self, capacity: int) -> None:
        self.capacity = capacity
        self._admit_next()

    @property
    def running(self) -> int:
        return len(self._running)

    @property
    def queued(self) -> int:
        return len(self.queue)

    async def _enter(self, ticket: Ticket, timeout_s: float | None) -> None:
        if self._has_room(ticket.priority):
            self._start(ticket)
            return
        offered = self.queue.offer(ticket)
        if not offered.accepted:
            raise NotAdmitted("the queue is full", self._retry_after_s(ticket))
        admitted = asyncio.get_running_loop().create_future()
        self._waiting[ticket] = admitted
        if offered.evicted is not None:
            self._refuse(offered.evicted)
        try:
            async with asyncio.timeout(timeout_s):
                await admitted
        except TimeoutError:
            self._leave(ticket)
            raise NotAdmitted("the time for waiting was used up", self._retry_after_s(ticket)) from None
        except BaseException:
            self._leave(ticket)
            raise

    def _has_room(self, priority: str) -> bool:
        """Whether a newcomer may go straight in: a place is free and nobody of its priority was before it."""
        return priority in self._served() and self.queue.waiting(priority) == 0

    def _served(self) -> Sequence[str]:
        """The priorities whose next request may start now."""
        if len(self._running) >= self.capacity:
            return ()
        batch_places = max(1, self.capacity * 3 // 4)
        batch_running = sum(ticket.priority == BATCH for ticket in self._running)
        return PRIORITIES if batch_running < batch_places else (INTERACTIVE,)

    def _start(self, ticket: Ticket) -> None:
        self._running[ticket] = self.clock() + ticket.cost_ms / 1000

    def _admit_next(self) -> None:
        while served := self._served():
            ticket = self.queue.take(served)
            if ticket is None:
                return
            self._start(ticket)
            admitted = self._waiting.pop(ticket)
            if not admitted.done():
                admitted.set_result(None)

    def _refuse(self, ticket: Ticket) -> None:
        waiting = self._waiting.pop(ticket, None)
        if waiting is not None and not waiting.done():
            waiting.set_exception(
                NotAdmitted("others are waiting for their share of the queue", self._retry_after_s(ticket))
            )

    def _leave(self, ticket: Ticket) -> None:
        """Gives back whatever the ticket holds: a place in the queue, or one it was given while leaving."""
        self._waiting.pop(ticket, None)
        if not self.queue.remove(ticket) and self._running.pop(ticket, None) is not None:
            self._admit_next()

    def _retry_after_s(self, ticket: Ticket) -> float:
        return self.wait_ms(ticket.tenant, ticket.priority) / 1000

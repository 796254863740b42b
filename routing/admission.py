"""The gate in front of a model: so many at once, the rest in a bounded fair queue, nobody beyond a deadline.

Asyncio, one event loop. With the gate's capacity at what the replicas can work on, queues build up here,
where they are shared fairly and can be left at any moment, and not inside the replicas. Which tenant may take
a free place: see places.py; who is first among those: fairqueue.py.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from routing.fairqueue import INTERACTIVE, FairQueue, Ticket
from routing.places import Places


class NotAdmitted(Exception):
    """The request did not get in. `retry_after_s` is the predicted time until the queue has room."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message, retry_after_s)
        self.message = message
        self.retry_after_s = retry_after_s


class Gate:
    """`capacity` is how many requests of the model may run at once; `set_capacity` changes it."""

    def __init__(self, capacity: int, queue: FairQueue, clock: Callable[[], float] = time.monotonic) -> None:
        self.queue = queue
        self._places = Places(capacity)
        self._clock = clock
        self._ends_s: dict[Ticket, float] = {}
        self._waiting: dict[Ticket, asyncio.Future[None]] = {}

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
        self._places.came(ticket, self._clock())
        try:
            await self._enter(ticket, timeout_s)
            yield
        finally:
            self._leave(ticket)

    def costs_ahead_ms(self, tenant: str | None, priority: str = INTERACTIVE) -> Sequence[float]:
        """Predicted work of each request that waits here and goes before a new one of this tenant, stretched
        by the places that are kept from it."""
        if not len(self.queue):
            return ()
        stretched = self._places.capacity / self._places.usable(tenant, self._clock())
        return [cost_ms * stretched for cost_ms in self.queue.costs_ahead_ms(tenant, priority)]

    def set_capacity(self, capacity: int) -> None:
        self._places.capacity = capacity
        self._admit_next()

    @property
    def running(self) -> int:
        return self._places.running

    @property
    def queued(self) -> int:
        return len(self.queue)

    async def _enter(self, ticket: Ticket, timeout_s: float | None) -> None:
        if len(self.queue) == 0 and self._may_start(ticket.tenant, ticket.priority):
            self._start(ticket)
            return
        offered = self.queue.offer(ticket)
        if not offered.accepted:
            raise NotAdmitted("the queue is full", self._retry_after_s(ticket))
        admitted = asyncio.get_running_loop().create_future()
        self._waiting[ticket] = admitted
        if offered.evicted is not None:
            self._refuse(offered.evicted)
        self._admit_next()
        try:
            async with asyncio.timeout(timeout_s):
                await admitted
        except TimeoutError:
            self.queue.remove(ticket)
            raise NotAdmitted("the time for waiting was used up", self._retry_after_s(ticket)) from None

    def _may_start(self, tenant: str | None, priority: str) -> bool:
        return self._places.free_for(tenant, priority, self._clock())

    def _start(self, ticket: Ticket) -> None:
        self._places.started(ticket)
        self._ends_s[ticket] = self._clock() + ticket.cost_ms / 1000

    def _admit_next(self) -> None:
        while (ticket := self.queue.take(self._may_start)) is not None:
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
        """Gives back whatever the ticket holds: a place in the queue, or at the model."""
        self._waiting.pop(ticket, None)
        self.queue.remove(ticket)
        was_running = self._ends_s.pop(ticket, None) is not None
        self._places.left(ticket, self._clock(), was_running=was_running)
        if was_running:
            self._admit_next()

    def _retry_after_s(self, ticket: Ticket) -> float:
        """Until a place is free and what goes before is done."""
        now_s = self._clock()
        until_free_s = max(0.0, min(self._ends_s.values(), default=now_s) - now_s)
        ahead_ms = sum(self.queue.costs_ahead_ms(ticket.tenant, ticket.priority))
        return until_free_s + ahead_ms / 1000 / self._places.usable(ticket.tenant, now_s)

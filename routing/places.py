"""Who may take a free place at a model.

Work in progress is not interrupted. If every free place went to whoever waits, a tenant that floods would
hold them all, and another one's next request would wait for one of them to end, however fair the queue is. So
a tenant that has its share already leaves free what others used lately of theirs: as many places as each had
requests at once in the last 10 to 20 seconds, up to its share by weight. Batch work has no share: it leaves
free what interactive requests of everybody used lately, its own tenant's too, and a quarter of all places
however few those were. Pure: time comes in.
"""

from dataclasses import dataclass, field

from routing.fairqueue import BATCH, Ticket

LATELY_S = 10.0


@dataclass(slots=True)
class _Demand:
    """How many interactive requests are here, running or waiting. Their peak is kept for the current period
    of LATELY_S and the one before."""

    count: int = 0
    period: int = 0
    peak: int = 0
    peak_before: int = 0

    def change(self, by: int, now_s: float) -> None:
        self._turn(now_s)
        self.count += by
        self.peak = max(self.peak, self.count)

    def lately(self, now_s: float) -> int:
        """The most requests at once of late."""
        self._turn(now_s)
        return max(self.peak, self.peak_before)

    def _turn(self, now_s: float) -> None:
        period = int(now_s // LATELY_S)
        if period != self.period:
            self.peak_before = self.peak if period == self.period + 1 else self.count
            self.peak, self.period = self.count, period


@dataclass(slots=True)
class _Tenant:
    """`here` counts requests of any priority, running or waiting."""

    weight: float = 1.0
    here: int = 0
    running: int = 0
    interactive: _Demand = field(default_factory=_Demand)

    def lately(self, now_s: float) -> int:
        return self.interactive.lately(now_s)


@dataclass(slots=True)
class Places:
    """Told of every request by `came`, `started` and `left`."""

    capacity: int
    _running: int = 0
    _batch_running: int = 0
    _interactive: _Demand = field(default_factory=_Demand)
    _tenants: dict[str | None, _Tenant] = field(default_factory=dict)

    @property
    def running(self) -> int:
        return self._running

    def came(self, ticket: Ticket, now_s: float) -> None:
        tenant = self._tenants.setdefault(ticket.tenant, _Tenant())
        tenant.weight = ticket.weight
        tenant.here += 1
        if ticket.priority != BATCH:
            tenant.interactive.change(1, now_s)
            self._interactive.change(1, now_s)

    def started(self, ticket: Ticket) -> None:
        self._running += 1
        self._tenants[ticket.tenant].running += 1
        self._batch_running += ticket.priority == BATCH

    def left(self, ticket: Ticket, now_s: float, *, was_running: bool) -> None:
        tenant = self._tenants[ticket.tenant]
        tenant.here -= 1
        if ticket.priority != BATCH:
            tenant.interactive.change(-1, now_s)
            self._interactive.change(-1, now_s)
        if was_running:
            self._running -= 1
            tenant.running -= 1
            self._batch_running -= ticket.priority == BATCH
        if not tenant.here and not tenant.lately(now_s):
            del self._tenants[ticket.tenant]

    def free_for(self, tenant: str | None, priority: str, now_s: float) -> bool:
        """Whether a request of this tenant, which came, may start now."""
        free = self.capacity - self._running
        if free <= 0:
            return False
        if priority == BATCH:
            within = self._batch_running < max(1, self.capacity * 3 // 4)
            return within and (free > self._kept_from_batch(now_s) or not self._running)
        return self._tenants[tenant].running < self._share(tenant) or free > self._kept_from(tenant, now_s)

    def usable(self, tenant: str | None, now_s: float) -> int:
        """How many places a tenant may hold when it asks for as many as it can get; at least 1."""
        kept = sum(
            min(other.lately(now_s), self._share(name))
            for name, other in self._tenants.items()
            if name != tenant
        )
        return max(1, self.capacity - kept)

    def _kept_from(self, tenant: str | None, now_s: float) -> int:
        """Free places that others may want back at any moment."""
        if len(self._tenants) == 1 or len(self._tenants) > self.capacity:
            return 0
        for name in [name for name, other in self._tenants.items() if not other.here]:
            if name != tenant and not self._tenants[name].lately(now_s):
                del self._tenants[name]
        return sum(
            max(0, min(other.lately(now_s), self._share(name)) - other.running)
            for name, other in self._tenants.items()
            if name != tenant
        )

    def _kept_from_batch(self, now_s: float) -> int:
        interactive_running = self._running - self._batch_running
        return max(0, self._interactive.lately(now_s) - interactive_running)

    def _share(self, tenant: str | None) -> int:
        weights = sum(each.weight for each in self._tenants.values())
        return int(self.capacity * self._tenants[tenant].weight / weights)

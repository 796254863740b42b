"""A bounded queue in front of one model, shared fairly by weight between tenants.

Start-time fair queueing (Goyal, Vin, Cheng 1996): an item's tag is where its tenant's share of the work so
far ends, and the lowest tag goes first. A tenant that floods moves its own tags into the future, not those
of others. A tenant that used less than its share may make up for some of it at once (as in borrowed virtual
time, Duda and Cheriton 1999): its bursts do not wait for every second turn.

Priorities are strict: batch work waits while interactive work is queued. When the queue is full, the tenant
that holds most of it for its weight gives up its newest item, which may be the one being added.

Pure: knows neither clocks nor asyncio. admission.py waits on it.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

INTERACTIVE = "interactive"
BATCH = "batch"
PRIORITIES = (INTERACTIVE, BATCH)


@dataclass(slots=True, eq=False)
class Ticket:
    """A place in the queue. `cost_ms` is the predicted work."""

    tenant: str | None
    cost_ms: float
    weight: float = 1.0
    priority: str = INTERACTIVE
    start_tag: float = 0.0


@dataclass(frozen=True, slots=True)
class Offered:
    """`evicted` is the ticket that lost its place, None when there was room; it may be the one offered."""

    ticket: Ticket
    evicted: Ticket | None = None

    @property
    def accepted(self) -> bool:
        return self.evicted is not self.ticket


@dataclass(slots=True)
class _Class:
    """The queue of one priority. `finish_tags` outlive a tenant's items: a tenant that sends one request at a
    time must not start from nothing with each. `virtual` is the highest tag of an item taken; a tenant starts
    at most `burst_ms` before it."""

    burst_ms: float
    items: dict[str | None, deque[Ticket]] = field(default_factory=dict)
    finish_tags: dict[str | None, float] = field(default_factory=dict)
    virtual: float = 0.0

    def start_tag(self, tenant: str | None) -> float:
        earliest = self.virtual - self.burst_ms
        return max(earliest, self.finish_tags.get(tenant, earliest))

    def append(self, ticket: Ticket) -> None:
        ticket.start_tag = self.start_tag(ticket.tenant)
        self.finish_tags[ticket.tenant] = ticket.start_tag + max(ticket.cost_ms, 1e-6) / ticket.weight
        self.items.setdefault(ticket.tenant, deque()).append(ticket)

    def take(self, tenants: Sequence[str | None]) -> Ticket:
        tenant = min(tenants, key=lambda each: self.items[each][0].start_tag)
        ticket = self.items[tenant].popleft()
        self.virtual = max(self.virtual, ticket.start_tag)
        self.forget_if_idle(tenant)
        return ticket

    def drop(self, ticket: Ticket) -> None:
        """As if it had never come, if it was its tenant's newest."""
        items = self.items[ticket.tenant]
        if items[-1] is ticket:
            self.finish_tags[ticket.tenant] = ticket.start_tag
        items.remove(ticket)
        self.forget_if_idle(ticket.tenant)

    def load(self, tenant: str | None) -> float:
        """How many items a tenant holds for its weight."""
        items = self.items.get(tenant)
        return len(items) / items[-1].weight if items else 0.0

    def greediest(self) -> str | None:
        """The tenant with the highest load; the queue must not be empty."""
        return max(self.items, key=self.load)

    def forget_if_idle(self, tenant: str | None) -> None:
        """With nothing queued everybody starts afresh; else only tags in the past are forgotten."""
        if not self.items[tenant]:
            del self.items[tenant]
        if not self.items:
            self.finish_tags.clear()
            self.virtual = 0.0
        elif len(self.finish_tags) > 2 * len(self.items) + 64:
            self.finish_tags = {
                each: tag
                for each, tag in self.finish_tags.items()
                if tag > self.virtual - self.burst_ms or each in self.items
            }


@dataclass(slots=True)
class FairQueue:
    """`max_queued` bounds all tenants together, `max_per_tenant` each of them. `burst_ms` is how much unused
    share, in work of weight 1, a tenant may make up for at once."""

    max_queued: int
    max_per_tenant: int | None = None
    burst_ms: float = 2000.0
    _classes: dict[str, _Class] = field(init=False)
    _count: int = 0

    def __post_init__(self) -> None:
        self._classes = {priority: _Class(self.burst_ms) for priority in PRIORITIES}

    def __len__(self) -> int:
        return self._count

    def offer(self, ticket: Ticket) -> Offered:
        """Queues the ticket. Raises ValueError for an unknown priority."""
        if ticket.priority not in PRIORITIES:
            raise ValueError(f"priority {ticket.priority!r} is none of {', '.join(PRIORITIES)}")
        if self.max_queued <= 0 or self._has_its_share(ticket.tenant):
            return Offered(ticket, ticket)
        evicted = self._make_room(ticket) if self._count >= self.max_queued else None
        if evicted is not ticket:
            self._classes[ticket.priority].append(ticket)
            self._count += 1
        return Offered(ticket, evicted)

    def take(self, may_start: Callable[[str | None, str], bool] | None = None) -> Ticket | None:
        """The next ticket, of those whose tenant and priority may start; None when there is none. Ties go to
        the tenant that was queued first."""
        for priority in PRIORITIES:
            queue = self._classes[priority]
            tenants = [each for each in queue.items if may_start is None or may_start(each, priority)]
            if tenants:
                self._count -= 1
                return queue.take(tenants)
        return None

    def remove(self, ticket: Ticket) -> bool:
        """Takes out a ticket nobody waits for any more; False when it is not queued."""
        queue = self._classes[ticket.priority]
        if ticket not in queue.items.get(ticket.tenant, ()):
            return False
        queue.drop(ticket)
        self._count -= 1
        return True

    def costs_ahead_ms(self, tenant: str | None, priority: str = INTERACTIVE) -> list[float]:
        """Predicted work of each ticket that goes before a new one of this tenant, if no others come."""
        ahead: list[float] = []
        for each in PRIORITIES:
            queue = self._classes[each]
            start_tag = queue.start_tag(tenant) if each == priority else None
            for items in queue.items.values():
                for item in items:
                    if start_tag is not None and item.start_tag > start_tag:
                        break  # tags of one tenant only grow
                    ahead.append(item.cost_ms)
            if each == priority:
                return ahead
        raise ValueError(f"priority {priority!r} is none of {', '.join(PRIORITIES)}")

    def _has_its_share(self, tenant: str | None) -> bool:
        if self.max_per_tenant is None:
            return False
        queues = (queue.items.get(tenant, ()) for queue in self._classes.values())
        return sum(len(items) for items in queues) >= self.max_per_tenant

    def _make_room(self, newcomer: Ticket) -> Ticket:
        """Whose ticket goes. Less urgent work than the newcomer goes first; of equally urgent work that of
        the greediest tenant, unless the newcomer would make its own tenant at least as greedy."""
        for priority in reversed(PRIORITIES):
            queue = self._classes[priority]
            if not queue.items:
                continue
            tenant = queue.greediest()
            if priority == newcomer.priority:
                if queue.load(newcomer.tenant) + 1 / newcomer.weight >= queue.load(tenant):
                    return newcomer
            elif PRIORITIES.index(priority) < PRIORITIES.index(newcomer.priority):
                return newcomer
            evicted = queue.items[tenant][-1]
            queue.drop(evicted)
            self._count -= 1
            return evicted
        return newcomer

import heapq
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.fairqueue import BATCH, INTERACTIVE, PRIORITIES, FairQueue, Ticket


def drain(queue: FairQueue) -> list[str | None]:
    order = []
    while (ticket := queue.take()) is not None:
        order.append(ticket.tenant)
    return order


def test_one_tenant_is_served_in_order():
    queue = FairQueue(10)
    tickets = [Ticket("a", 10.0) for _ in range(4)]
    for ticket in tickets:
        queue.offer(ticket)
    assert [queue.take() for _ in range(4)] == tickets
    assert queue.take() is None


def test_a_newcomer_goes_before_the_rest_of_a_flood():
    queue = FairQueue(100)
    for _ in range(10):
        queue.offer(Ticket("flood", 10.0))
    queue.offer(Ticket("b", 10.0))
    assert drain(queue)[:2] == ["flood", "b"]


def test_shares_follow_weights():
    queue = FairQueue(100)
    for _ in range(30):
        queue.offer(Ticket("heavy", 10.0, weight=2.0))
        queue.offer(Ticket("light", 10.0, weight=1.0))
    first = drain(queue)[:30]
    assert 19 <= first.count("heavy") <= 21


def test_shares_are_of_work_and_not_of_requests():
    queue = FairQueue(100)
    for _ in range(20):
        queue.offer(Ticket("large", 100.0))
        queue.offer(Ticket("small", 10.0))
    assert drain(queue)[:11].count("small") == 10


def test_one_request_at_a_time_is_no_way_around_the_share():
    queue = FairQueue(100, burst_ms=0.0)
    for _ in range(20):
        queue.offer(Ticket("queued", 10.0))
    served = []
    queue.offer(Ticket("one-by-one", 10.0))
    for _ in range(20):
        ticket = queue.take()
        assert ticket is not None
        served.append(ticket.tenant)
        if ticket.tenant == "one-by-one":
            queue.offer(Ticket("one-by-one", 10.0))
    assert 9 <= served.count("queued") <= 11


def test_batch_work_waits_for_interactive_work():
    queue = FairQueue(10)
    queue.offer(Ticket("a", 1.0, priority=BATCH))
    queue.offer(Ticket("b", 1.0, priority=INTERACTIVE))
    assert drain(queue) == ["b", "a"]


def test_an_unknown_priority_is_an_error():
    with pytest.raises(ValueError, match="urgent"):
        FairQueue(1).offer(Ticket("a", 1.0, priority="urgent"))


class TestFull:
    def test_the_greediest_tenant_gives_up_its_newest(self):
        queue = FairQueue(3)
        flood = [Ticket("flood", 10.0) for _ in range(3)]
        for ticket in flood:
            queue.offer(ticket)
        offered = queue.offer(Ticket("b", 10.0))
        assert offered.accepted
        assert offered.evicted is flood[-1]
        assert len(queue) == 3

    def test_the_flood_itself_is_refused(self):
        queue = FairQueue(2)
        for _ in range(2):
            queue.offer(Ticket("flood", 10.0))
        assert not queue.offer(Ticket("flood", 10.0)).accepted

    def test_batch_work_makes_room_for_interactive_work_and_never_the_other_way_round(self):
        queue = FairQueue(1)
        batch = Ticket("a", 10.0, priority=BATCH)
        queue.offer(batch)
        assert queue.offer(Ticket("a", 10.0)).evicted is batch
        assert not queue.offer(Ticket("b", 10.0, priority=BATCH)).accepted

    def test_a_tenants_own_bound(self):
        queue = FairQueue(10, max_per_tenant=1)
        assert queue.offer(Ticket("a", 1.0)).accepted
        assert not queue.offer(Ticket("a", 1.0)).accepted
        assert queue.offer(Ticket("b", 1.0)).accepted

    def test_no_queue_at_all(self):
        assert not FairQueue(0).offer(Ticket("a", 1.0)).accepted


def test_a_ticket_can_be_taken_out():
    queue = FairQueue(10)
    ticket = Ticket("a", 10.0)
    queue.offer(ticket)
    assert queue.remove(ticket)
    assert not queue.remove(ticket)
    assert len(queue) == 0


def test_work_ahead_is_what_goes_first():
    queue = FairQueue(100)
    for _ in range(10):
        queue.offer(Ticket("flood", 10.0))
    assert sum(queue.costs_ahead_ms("flood")) == pytest.approx(100)
    assert sum(queue.costs_ahead_ms("b")) == pytest.approx(10)
    assert sum(queue.costs_ahead_ms("b", BATCH)) == pytest.approx(100)


OPERATIONS = st.lists(
    st.one_of(
        st.tuples(
            st.just("offer"),
            st.sampled_from("abc"),
            st.floats(0, 100),
            st.floats(0.1, 10),
            st.sampled_from(PRIORITIES),
        ),
        st.tuples(st.just("take")),
        st.tuples(st.just("remove"), st.integers(0, 20)),
    ),
    max_size=80,
)


@given(OPERATIONS)
def test_nothing_is_lost_doubled_or_beyond_the_bound(operations):
    queue, inside = FairQueue(8), []
    for name, *arguments in operations:
        if name == "offer":
            ticket = Ticket(*arguments)
            offered = queue.offer(ticket)
            inside.append(ticket)
            if offered.evicted is not None:
                inside.remove(offered.evicted)
        elif name == "take":
            taken = queue.take()
            assert (taken is None) == (not inside)
            if taken is not None:
                inside.remove(taken)
        elif inside:
            ticket = inside.pop(arguments[0] % len(inside))
            assert queue.remove(ticket)
        assert len(queue) == len(inside) <= 8
    assert len(drain(queue)) == len(inside)


def test_unused_share_is_made_up_for_up_to_the_burst():
    queue = FairQueue(1000, burst_ms=50.0)
    for _ in range(100):
        queue.offer(Ticket("flood", 10.0))
    for _ in range(40):
        queue.take()
    for _ in range(20):
        queue.offer(Ticket("b", 10.0))
    order = drain(queue)
    assert order[:5] == ["b"] * 5
    assert 5 <= order[6:26].count("b") <= 12


def p99_of_victim(flood_per_s: float, burst_ms: float) -> float:
    """Seconds, at one server that takes 10 ms a request: the victim sends 20 a second, another one floods."""
    chance = random.Random(7)
    arrivals = []
    for tenant, rate in (("victim", 20.0), ("flood", flood_per_s)):
        at = 0.0
        while rate and at < 200:
            at += chance.expovariate(rate)
            arrivals.append((at, tenant))
    arrivals.sort(reverse=True)
    queue, free_at, took, came = FairQueue(64, burst_ms=burst_ms), 0.0, [], {}
    while arrivals or len(queue):
        while arrivals and (arrivals[-1][0] <= free_at or not len(queue)):
            at, tenant = arrivals.pop()
            ticket = Ticket(tenant, 10.0)
            came[ticket] = at
            queue.offer(ticket)
            free_at = max(free_at, at) if len(queue) == 1 else free_at
        ticket = queue.take()
        assert ticket is not None
        free_at = max(free_at, came[ticket]) + 0.010
        if ticket.tenant == "victim":
            took.append(free_at - came[ticket])
    return heapq.nlargest(len(took) // 100, took)[-1]


def test_a_flood_costs_another_tenant_no_more_than_what_is_in_service():
    alone = p99_of_victim(0.0, 1000.0)
    flooded = p99_of_victim(500.0, 1000.0)
    assert flooded <= alone + 0.010
    assert flooded < p99_of_victim(500.0, 0.0), "the burst makes a difference"

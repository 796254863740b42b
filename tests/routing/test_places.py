from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from routing.fairqueue import BATCH, INTERACTIVE, Ticket
from routing.places import LATELY_S, Places


def enter(places: Places, tenant: str, now_s: float = 0.0, weight: float = 1.0, priority: str = INTERACTIVE):
    """A request that comes and starts if it may; None when it has to wait."""
    ticket = Ticket(tenant, 100.0, weight, priority)
    places.came(ticket, now_s)
    if not places.free_for(tenant, priority, now_s):
        return None
    places.started(ticket)
    return ticket


def test_a_tenant_alone_may_have_all_places():
    places = Places(4)
    assert all(enter(places, "a") for _ in range(4))
    assert enter(places, "a") is None


def test_a_flood_leaves_free_what_another_used_lately():
    places = Places(8)
    steady = [enter(places, "steady") for _ in range(3)]
    for ticket in steady:
        places.left(ticket, 1.0, was_running=True)
    flood = [enter(places, "flood", 2.0) for _ in range(10)]
    assert sum(ticket is not None for ticket in flood) == 5, "three places stay free"
    assert [enter(places, "steady", 3.0) is not None for _ in range(4)] == [True, True, True, False]


def test_nobody_keeps_more_than_its_share():
    places = Places(8)
    for ticket in [enter(places, "steady") for _ in range(8)]:
        places.left(ticket, 1.0, was_running=True)
    assert sum(enter(places, "flood", 2.0) is not None for _ in range(10)) == 4
    heavy = Places(8)
    for ticket in [enter(heavy, "steady", weight=3.0) for _ in range(8)]:
        heavy.left(ticket, 1.0, was_running=True)
    assert sum(enter(heavy, "flood", 2.0) is not None for _ in range(10)) == 2


def test_who_stayed_away_for_long_keeps_nothing():
    places = Places(4)
    places.left(enter(places, "steady"), 1.0, was_running=True)
    late_s = 3 * LATELY_S
    assert sum(enter(places, "flood", late_s) is not None for _ in range(6)) == 4


def test_a_crowd_of_tenants_keeps_nothing():
    places = Places(2)
    for name in "abc":
        places.left(enter(places, name), 0.5, was_running=True)
    assert enter(places, "d", 1.0)
    assert enter(places, "d", 1.0)


def test_batch_work_takes_three_quarters_and_what_nobody_keeps():
    places = Places(8)
    assert sum(enter(places, "a", priority=BATCH) is not None for _ in range(8)) == 6
    shared = Places(8)
    for ticket in [enter(shared, "steady") for _ in range(4)]:
        shared.left(ticket, 1.0, was_running=True)
    assert sum(enter(shared, "b", 2.0, priority=BATCH) is not None for _ in range(8)) == 4


def test_batch_work_leaves_free_what_interactive_requests_of_its_own_tenant_used_lately():
    places = Places(8)
    for ticket in [enter(places, "a") for _ in range(5)]:
        places.left(ticket, 1.0, was_running=True)
    assert sum(enter(places, "a", 2.0, priority=BATCH) is not None for _ in range(8)) == 3
    assert all(enter(places, "a", 3.0) for _ in range(5)), "their places are free for them"
    assert enter(places, "a", 3.0, priority=BATCH) is None


def test_what_interactive_requests_run_on_is_not_kept_for_them_twice():
    places = Places(8)
    inside = [enter(places, "a") for _ in range(3)]
    assert sum(enter(places, "a", 1.0, priority=BATCH) is not None for _ in range(8)) == 5
    assert all(inside)


def test_batch_work_gets_back_what_interactive_requests_stopped_using():
    places = Places(8)
    for ticket in [enter(places, "a") for _ in range(7)]:
        places.left(ticket, 1.0, was_running=True)
    assert sum(enter(places, "a", 2.0, priority=BATCH) is not None for _ in range(8)) == 1
    later_s = 3 * LATELY_S
    assert sum(enter(places, "a", later_s, priority=BATCH) is not None for _ in range(8)) == 5


def test_usable_is_what_a_flood_can_hold_in_the_long_run():
    places = Places(8)
    for ticket in [enter(places, "steady") for _ in range(3)]:
        places.left(ticket, 1.0, was_running=True)
    flood = Ticket("flood", 1.0)
    places.came(flood, 1.0)
    assert places.usable("flood", 1.0) == 5
    assert places.usable("steady", 1.0) == 7, "it wants one now"


STEPS = st.lists(
    st.tuples(st.sampled_from("abc"), st.booleans(), st.sampled_from((INTERACTIVE, BATCH)), st.floats(0, 9)),
    max_size=60,
)


@given(capacity=st.integers(1, 9), steps=STEPS)
def test_places_are_never_oversold_and_somebody_may_always_start(capacity, steps):
    places, now_s = Places(capacity), 0.0
    inside: list[Ticket] = []
    waiting: list[Ticket] = []
    for tenant, arrives, priority, pause_s in steps:
        now_s += pause_s
        if arrives or not inside:
            ticket = Ticket(tenant, 1.0, 1.0, priority)
            places.came(ticket, now_s)
            waiting.append(ticket)
        else:
            places.left(inside.pop(0), now_s, was_running=True)
        for ticket in list(waiting):
            if places.free_for(ticket.tenant, ticket.priority, now_s):
                waiting.remove(ticket)
                places.started(ticket)
                inside.append(ticket)
        assert places.running == len(inside) <= capacity
        assert inside or not waiting, f"all wait: {Counter(each.tenant for each in waiting)}"

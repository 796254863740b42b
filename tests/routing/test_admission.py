import asyncio

import pytest

from routing.admission import Gate, NotAdmitted
from routing.fairqueue import BATCH, FairQueue


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def gate(capacity: int = 1, queued: int = 2) -> Gate:
    return Gate(capacity, FairQueue(queued), clock=Clock())


class Guest:
    """A request that holds its place until it is told to leave."""

    def __init__(self, gate: Gate, tenant: str = "a", cost_ms: float = 100.0, **options: object) -> None:
        self.leave, self.inside = asyncio.Event(), False
        self.task = asyncio.ensure_future(self._visit(gate, tenant, cost_ms, options))

    async def _visit(self, gate: Gate, tenant: str, cost_ms: float, options: dict[str, object]) -> None:
        async with gate.admitted(tenant, cost_ms, **options):  # type: ignore[arg-type]
            self.inside = True
            await self.leave.wait()


async def settle() -> None:
    for _ in range(8):
        await asyncio.sleep(0)


async def test_so_many_at_once_and_the_rest_in_turn():
    door = gate()
    first, second = Guest(door), Guest(door)
    await settle()
    assert (first.inside, second.inside, door.queued) == (True, False, 1)
    first.leave.set()
    await settle()
    assert second.inside
    second.leave.set()
    await second.task
    assert (door.running, door.queued) == (0, 0)


async def test_a_full_queue_refuses_at_once_with_the_time_to_come_back():
    door = gate(queued=1)
    guests = [Guest(door), Guest(door), Guest(door)]
    await settle()
    with pytest.raises(NotAdmitted) as refused:
        await guests[2].task
    assert refused.value.retry_after_s == pytest.approx(0.2)
    for guest in guests[:2]:
        guest.leave.set()
    await guests[1].task


async def test_a_fairer_share_takes_the_place_of_a_flood():
    door = gate(queued=2)
    flood = [Guest(door, "flood") for _ in range(3)]
    await settle()
    other = Guest(door, "b")
    await settle()
    with pytest.raises(NotAdmitted, match="others are waiting"):
        await flood[2].task
    flood[0].leave.set()
    await settle()
    for guest in (flood[1], other):
        guest.leave.set()
    await asyncio.gather(flood[1].task, other.task)
    assert other.inside


async def test_waiting_ends_with_the_deadline():
    door = gate()
    first = Guest(door)
    await settle()
    with pytest.raises(NotAdmitted, match="time for waiting"):
        await Guest(door, timeout_s=0.0).task
    assert door.queued == 0
    first.leave.set()
    await first.task


async def test_a_caller_that_leaves_gives_its_place_in_the_queue_back():
    door = gate()
    first, second, third = Guest(door), Guest(door), Guest(door)
    await settle()
    second.task.cancel()
    await settle()
    assert door.queued == 1
    first.leave.set()
    await settle()
    assert third.inside
    third.leave.set()
    await third.task


async def test_a_caller_that_leaves_as_it_is_let_in_gives_its_place_to_the_next():
    door = gate()
    first, second, third = Guest(door), Guest(door), Guest(door)
    await settle()
    first.leave.set()
    await asyncio.sleep(0)
    second.task.cancel()
    await settle()
    assert third.inside
    third.leave.set()
    await third.task
    assert door.running == 0


async def test_an_error_inside_frees_the_place():
    door = gate()
    with pytest.raises(RuntimeError):
        async with door.admitted("a", 1.0):
            raise RuntimeError
    assert door.running == 0


async def test_more_capacity_lets_more_in():
    door = gate()
    guests = [Guest(door), Guest(door)]
    await settle()
    door.set_capacity(2)
    await settle()
    assert guests[1].inside
    for guest in guests:
        guest.leave.set()
    await asyncio.gather(*(guest.task for guest in guests))


async def test_the_predicted_wait_is_a_tenants_own():
    door = gate(queued=10)
    guests = [Guest(door, "flood") for _ in range(5)]
    await settle()
    assert len(door.costs_ahead_ms("flood")) == 4
    assert len(door.costs_ahead_ms("b")) == 1
    for guest in guests:
        guest.leave.set()
    await asyncio.gather(*(guest.task for guest in guests))
    assert door.costs_ahead_ms("b") == ()


async def test_batch_work_leaves_a_quarter_of_the_places_to_interactive_requests():
    door = gate(capacity=4, queued=8)
    batch = [Guest(door, priority=BATCH) for _ in range(4)]
    await settle()
    assert [guest.inside for guest in batch] == [True, True, True, False]
    interactive = Guest(door)
    await settle()
    assert interactive.inside, "nobody of its priority waits, and a place is free"
    batch[0].leave.set()
    await settle()
    assert batch[3].inside
    for guest in (*batch, interactive):
        guest.leave.set()
        await guest.task
    assert (door.running, door.queued) == (0, 0)


async def test_a_gate_with_one_place_still_serves_batch_work():
    door = gate(capacity=1)
    alone = Guest(door, priority=BATCH)
    await settle()
    assert alone.inside
    alone.leave.set()
    await alone.task

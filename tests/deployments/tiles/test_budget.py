import asyncio

import pytest

from deployments.tiles.budget import ByteBudget


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_grants_up_to_the_limit_and_in_order() -> None:
    budget = ByteBudget(10)
    granted: list[str] = []

    async def ask(name: str, size_bytes: int) -> None:
        await budget.acquire(size_bytes)
        granted.append(name)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(ask("first", 6))
        tasks.create_task(ask("large", 8))
        tasks.create_task(ask("small", 1))
        await settle()
        assert granted == ["first"], "small must not overtake large"
        assert (budget.used_bytes, budget.waiting) == (6, 2)
        budget.release(6)
    assert granted == ["first", "large", "small"]
    assert budget.used_bytes == 9


async def test_who_gives_up_waiting_lets_the_next_one_in() -> None:
    budget = ByteBudget(10)
    await budget.acquire(6)
    large = asyncio.create_task(budget.acquire(8))
    small = asyncio.create_task(budget.acquire(2))
    await settle()
    large.cancel()
    await asyncio.wait_for(small, 1)
    assert (budget.used_bytes, budget.waiting) == (8, 0)


async def test_who_is_cancelled_just_after_the_grant_gives_it_back() -> None:
    budget = ByteBudget(10)
    await budget.acquire(6)
    waiting = asyncio.create_task(budget.acquire(8))
    await settle()
    budget.release(6)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert budget.used_bytes == 0


async def test_more_than_everything_is_never_granted() -> None:
    with pytest.raises(ValueError, match="11 bytes exceed the budget of 10"):
        await ByteBudget(10).acquire(11)

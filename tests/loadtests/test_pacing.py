import asyncio
import sys

import pytest

from loadtests.pacing import LoopPacer, TimerfdPacer, open_pacer
from tests.loadtests.virtual_time import run_in_virtual_time


async def waits(pacer, offsets_s):
    loop = asyncio.get_running_loop()
    start = loop.time()
    for offset_s in offsets_s:
        await pacer.until(start + offset_s)
        assert loop.time() - start >= offset_s - 1e-4
    return loop.time() - start


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="timerfd is Linux's")
async def test_a_timer_fires_at_each_moment_and_not_before():
    with open_pacer() as pacer:
        assert isinstance(pacer, TimerfdPacer)
        assert await waits(pacer, [0.001, 0.0025, 0.0026, 0.001, 0.01]) >= 0.01 - 1e-4


async def test_what_is_overdue_lets_others_run_first():
    turns = []
    with open_pacer() as pacer:
        asyncio.get_running_loop().call_soon(turns.append, 1)
        await pacer.until(0.0)
    assert turns == [1]


async def test_a_cancelled_wait_does_not_disturb_the_next():
    loop = asyncio.get_running_loop()
    with open_pacer() as pacer:
        task = asyncio.create_task(pacer.until(loop.time() + 60))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await waits(pacer, [0.002])


def test_simulated_time_is_waited_for_by_the_loop_itself():
    async def main():
        with open_pacer() as pacer:
            assert isinstance(pacer, LoopPacer)
            return await waits(pacer, [5.0, 100.0])

    assert run_in_virtual_time(main()) == pytest.approx(100)

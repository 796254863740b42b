import asyncio

import pytest

from deployments.errors import CapacityRefused
from deployments.hosted.pacing import WINDOW_S, Pacing


class Clock:
    """Time that passes only where somebody sleeps."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = 1000.0
        monkeypatch.setattr(asyncio, "sleep", self.sleep)

    def __call__(self) -> float:
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        self.now_s += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


async def test_nothing_waits_without_a_limit(clock: Clock) -> None:
    pacing = Pacing(None, clock)
    for _ in range(100):
        await pacing.start(patience_s=0.0)
    assert clock.now_s == 1000.0


async def test_a_pause_is_waited_for_where_there_is_time(clock: Clock) -> None:
    pacing = Pacing(None, clock)
    pacing.pause(7.0)
    assert pacing.closed_for_s() == 7.0
    await pacing.start(patience_s=8.0)
    assert clock.now_s == 1007.0


async def test_a_pause_that_is_too_long_is_a_refusal_that_says_how_long(clock: Clock) -> None:
    pacing = Pacing(None, clock)
    pacing.pause(7.0)
    with pytest.raises(CapacityRefused) as caught:
        await pacing.start(patience_s=6.9)
    assert caught.value.retry_after_s == 7.0
    assert clock.now_s == 1000.0


def test_a_shorter_pause_does_not_end_a_longer_one(clock: Clock) -> None:
    pacing = Pacing(None, clock)
    pacing.pause(7.0)
    pacing.pause(1.0)
    assert pacing.closed_for_s() == 7.0


async def test_so_many_start_in_any_minute(clock: Clock) -> None:
    pacing = Pacing(3, clock)
    started = []
    for _ in range(9):
        await pacing.start(patience_s=1000.0)
        started.append(clock.now_s)
        clock.now_s += 1.0
    for index in range(len(started) - 3):
        assert started[index + 3] - started[index] >= WINDOW_S
    assert started[8] - started[0] < 2 * WINDOW_S + 10  # and no slower than that


async def test_a_refused_start_does_not_count(clock: Clock) -> None:
    pacing = Pacing(1, clock)
    await pacing.start(patience_s=0.0)
    for _ in range(3):
        with pytest.raises(CapacityRefused):
            await pacing.start(patience_s=1.0)
    clock.now_s += WINDOW_S
    await pacing.start(patience_s=0.0)

"""Accounting on a simulated clock: exact latencies, no waiting."""

import asyncio

import numpy as np
import pytest

from loadtests.observation import Answer, Observation, Unanswered
from loadtests.runner import Limits, run_closed_loop, run_open_loop
from loadtests.workload import Shot, calls
from tests.loadtests.virtual_time import run_in_virtual_time

SHOT = Shot("badge", ["x"], max_latency_ms=250)


class Scripted:
    """Answers the nth call after the nth duration."""

    def __init__(self, *durations_s: float) -> None:
        self.durations_s = durations_s

    async def send(self, call):
        await asyncio.sleep(self.durations_s[call.index % len(self.durations_s)])
        return Answer("ok", 200)


class Blocking:
    """Stops the event loop itself for 2 s at the second call: the generator cannot even send."""

    async def send(self, call):
        if call.index == 1:
            loop = asyncio.get_running_loop()
            loop._jumping.now_s += 2.0
        await asyncio.sleep(0.1)
        return Answer("ok", 200)


def run(exchange, at_s, limits=None) -> tuple[list[Observation], float]:
    seen: list[Observation] = []
    due = calls(np.array(at_s, dtype=np.float64), [SHOT])
    elapsed_s = run_in_virtual_time(run_open_loop(due, exchange, seen.append, limits))
    return sorted(seen, key=lambda each: each.call.index), elapsed_s


def test_latency_is_what_the_service_took():
    seen, elapsed_s = run(Scripted(0.1, 0.3), [0, 1])
    assert [each.latency_ms for each in seen] == pytest.approx([100, 300])
    assert [each.good for each in seen] == [True, False]
    assert elapsed_s == pytest.approx(1.3)


def test_a_slow_answer_does_not_hold_back_later_calls():
    seen, _ = run(Scripted(5, 0.1, 0.1), [0, 0.5, 1])
    assert [each.late_ms for each in seen] == pytest.approx([0, 0, 0])
    assert [each.latency_ms for each in seen] == pytest.approx([5000, 100, 100])


def test_a_stalled_generator_is_charged_to_every_call_it_held_up():
    seen, _ = run(Blocking(), [0, 1, 1.5, 2.5, 4])
    assert [each.late_ms for each in seen] == pytest.approx([0, 0, 1500, 500, 0], abs=1)
    assert [each.latency_ms for each in seen] == pytest.approx([100, 2100, 1600, 600, 100], abs=1)


def test_calls_beyond_the_limit_are_dropped_and_counted():
    seen, _ = run(Scripted(10), [0, 1, 2, 3], Limits(max_in_flight=2))
    assert [each.answer.code for each in seen] == ["ok", "ok", Unanswered.DROPPED, Unanswered.DROPPED]
    assert not any(each.good for each in seen[2:])
    assert [each.sent for each in seen] == [True, True, False, False]


def test_what_is_open_at_the_end_is_unfinished_at_the_time_it_waited():
    seen, elapsed_s = run(Scripted(0.1, 60), [0, 1], Limits(drain_s=5))
    assert [each.answer.code for each in seen] == ["ok", Unanswered.UNFINISHED]
    assert seen[1].latency_ms == pytest.approx(5000)
    assert elapsed_s == pytest.approx(6)


def test_a_cancelled_run_accounts_for_what_was_open():
    seen: list[Observation] = []

    async def cancelled_after_a_second():
        due = calls(np.array([0.0, 0.5, 9.0]), [SHOT])
        task = asyncio.create_task(run_open_loop(due, Scripted(0.2, 60), seen.append))
        await asyncio.sleep(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run_in_virtual_time(cancelled_after_a_second())
    assert [each.answer.code for each in seen] == ["ok", Unanswered.UNFINISHED]
    assert seen[1].latency_ms == pytest.approx(500)


def test_a_closed_loop_sends_no_more_than_its_clients_and_hides_the_wait():
    async def closed():
        due = calls(np.zeros(100), [SHOT])
        seen: list[Observation] = []
        await run_closed_loop(due, Scripted(1.0), seen.append, clients=3, duration_s=10, think_s=1.0)
        return seen

    seen = run_in_virtual_time(closed())
    assert len(seen) == 15
    assert {round(each.latency_ms) for each in seen} == {1000}
    assert sorted({round(each.call.at_s) for each in seen}) == [0, 2, 4, 6, 8]

"""Sends calls when they are due, whatever became of the earlier ones (open loop), and observes each.

A closed loop is here for comparison.

The clock is the event loop's: a test with a loop whose time is simulated sees exact latencies. Knows
nothing of HTTP: an Exchange does the sending.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from loadtests.exchange import Exchange
from loadtests.observation import Answer, Observation, Unanswered
from loadtests.pacing import open_pacer
from loadtests.workload import Call

Sink = Callable[[Observation], None]
"""Takes every observation as it is made. Must be quick: it runs between arrivals."""


@dataclass(frozen=True, slots=True)
class Limits:
    """`max_in_flight` bounds sockets and memory: a call that is due while so many are open is dropped.

    `drain_s` is how long answers are awaited after the last arrival.
    """

    max_in_flight: int = 2000
    drain_s: float = 30.0


async def run_open_loop(
    calls: Iterable[Call],
    exchange: Exchange,
    sink: Sink,
    limits: Limits | None = None,
    delay_s: float = 0.0,
) -> float:
    """Returns the seconds from the first moment of the schedule, `delay_s` from now, to the last observation.

    Every call ends in exactly one observation. Cancelling the run counts what is still open as
    unfinished before the cancellation goes on.
    """
    limits = limits or Limits()
    loop = asyncio.get_running_loop()
    start = loop.time() + delay_s
    open_calls: set[asyncio.Task[None]] = set()
    try:
        with open_pacer() as pacer:
            for call in calls:
                await pacer.until(start + call.at_s)
                if len(open_calls) >= limits.max_in_flight:
                    late_ms = max(0.0, loop.time() - start - call.at_s) * 1000
                    sink(Observation(call, Answer(Unanswered.DROPPED), late_ms, late_ms))
                    continue
                task = loop.create_task(_observe(call, start + call.at_s, exchange, sink))
                open_calls.add(task)
                task.add_done_callback(open_calls.discard)
        if open_calls:
            await asyncio.wait(open_calls, timeout=limits.drain_s)
    finally:
        await _give_up(open_calls)
    return loop.time() - start


async def run_closed_loop(
    calls: Iterator[Call],
    exchange: Exchange,
    sink: Sink,
    *,
    clients: int,
    duration_s: float,
    think_s: float = 0.0,
    delay_s: float = 0.0,
) -> float:
    """`clients` that each wait for an answer, then `think_s`, then send the next of `calls`.

    Latency counts from sending: nothing was due. Returns the seconds until the last observation.
    """
    clock = asyncio.get_running_loop().time
    start = clock() + delay_s

    async def client() -> None:
        await asyncio.sleep(max(0.0, start - clock()))
        while (now := clock()) < start + duration_s:
            call = next(calls, None)
            if call is None:
                return
            await _observe(replace(call, at_s=now - start), now, exchange, sink)
            await asyncio.sleep(think_s)

    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(client())
    return clock() - start


async def _observe(call: Call, due: float, exchange: Exchange, sink: Sink) -> None:
    clock = asyncio.get_running_loop().time
    late_ms = max(0.0, clock() - due) * 1000
    try:
        answer = await exchange.send(call)
    except asyncio.CancelledError:
        answer = Answer(Unanswered.UNFINISHED)
    sink(Observation(call, answer, late_ms, max(0.0, clock() - due) * 1000))


async def _give_up(open_calls: set[asyncio.Task[None]]) -> None:
    remaining = list(open_calls)
    for task in remaining:
        task.cancel()
    await asyncio.gather(*remaining, return_exceptions=True)

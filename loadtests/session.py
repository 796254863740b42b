"""Runs a scenario against a target: its share of the calls in this process, or all of them in several."""

import asyncio
import multiprocessing
import queue
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np

from loadtests.exchange import open_exchange
from loadtests.images import ImageChecker
from loadtests.observation import Observation
from loadtests.pacing import short_collections
from loadtests.runner import Limits, run_closed_loop, run_open_loop
from loadtests.scenario import Scenario
from loadtests.tally import Group, Tally
from loadtests.target import Target
from loadtests.workload import Call, calls

Progress = Callable[[Group, float], None]
"""Takes what has been counted so far, and the seconds since the start of the schedule."""

_PROGRESS_INTERVAL_S = 0.25
_START_DELAY_S = 1.0
_GRACE_S = 30.0


@dataclass(frozen=True, slots=True)
class Share:
    """Every `count`th call from the `index`th on. `start_unix_s` is when the schedule begins, for all."""

    index: int = 0
    count: int = 1
    start_unix_s: float | None = None


class WorkerDied(RuntimeError):
    """A process of the load generator ended before its share was done: the run measured nothing."""


def run_session(
    scenario: Scenario,
    target: Target,
    *,
    headers: Mapping[str, str] | None = None,
    progress: Progress = lambda counted, elapsed_s: None,
) -> tuple[Tally, float]:
    """Everything that was counted, and the seconds until the last answer. SIGINT ends the run early and loses
    nothing."""
    if scenario.processes == 1:
        return asyncio.run(run_share(scenario, target, Share(), headers or {}, progress))
    return _run_processes(scenario, target, dict(headers or {}), progress)


async def run_share(
    scenario: Scenario, target: Target, share: Share, headers: Mapping[str, str], progress: Progress
) -> tuple[Tally, float]:
    counted = Tally()
    bounds = scenario.bounds
    with short_collections(), ImageChecker(scenario.check_images_ratio) as checker:

        def sink(seen: Observation) -> None:
            counted.record(seen)
            checker.offer(seen)

        async with open_exchange(target, timeout_s=bounds.timeout_s, headers=headers) as exchange:
            delay_s = max(0.0, share.start_unix_s - time.time()) if share.start_unix_s else 0.0
            started = asyncio.get_running_loop().time() + delay_s
            if loop := scenario.closed_loop:
                run = run_closed_loop(
                    _endless_calls(scenario, share),
                    exchange,
                    sink,
                    clients=len(range(share.index, loop.clients, share.count)),
                    duration_s=loop.duration_s,
                    think_s=loop.think_s,
                    delay_s=delay_s,
                )
            else:
                every = calls(scenario.times(), scenario.mix(), scenario.seed)
                due = islice(every, share.index, None, share.count)
                limits = Limits(max(1, bounds.max_in_flight // share.count), bounds.drain_s)
                run = run_open_loop(due, exchange, sink, limits, delay_s)
            task = asyncio.create_task(run)
            try:
                while not task.done():
                    await asyncio.wait([task], timeout=_PROGRESS_INTERVAL_S)
                    progress(counted.total, asyncio.get_running_loop().time() - started)
                elapsed_s = task.result()
            except asyncio.CancelledError:
                # Interrupted: what was counted so far is the result, open calls being unfinished.
                task.cancel()
                await asyncio.wait([task])
                elapsed_s = max(0.0, asyncio.get_running_loop().time() - started)
    counted.images.add(checker.checks)
    return counted, elapsed_s


def _endless_calls(scenario: Scenario, share: Share) -> Iterator[Call]:
    """As many as the bounds allow; a closed loop decides when."""
    times = np.zeros(scenario.bounds.max_requests)
    return islice(calls(times, scenario.mix(), scenario.seed), share.index, None, share.count)


def _run_processes(
    scenario: Scenario, target: Target, headers: Mapping[str, str], progress: Progress
) -> tuple[Tally, float]:
    context = multiprocessing.get_context("spawn")
    messages: Any = context.Queue()
    start_unix_s = time.time() + _START_DELAY_S + 0.2 * scenario.processes
    shares = [Share(index, scenario.processes, start_unix_s) for index in range(scenario.processes)]
    workers = [
        context.Process(target=_work, args=(scenario, target, share, headers, messages), daemon=True)
        for share in shares
    ]
    for worker in workers:
        worker.start()
    try:
        received: _Received = _Received()
        try:
            _collect(received, messages, workers, scenario, start_unix_s, progress)
        except KeyboardInterrupt:
            for worker in workers:
                worker.terminate()
            _collect(received, messages, workers, scenario, start_unix_s, lambda counted, elapsed_s: None)
        return received.total()
    finally:
        for worker in workers:
            worker.join(timeout=1)
            if worker.is_alive():
                worker.terminate()


def _work(
    scenario: Scenario, target: Target, share: Share, headers: Mapping[str, str], messages: Any
) -> None:
    def report(counted: Group, elapsed_s: float) -> None:
        messages.put((share.index, "progress", counted))

    async def run() -> tuple[Tally, float]:
        # Ctrl-C reaches the whole process group; when to stop is the parent's to say, by SIGTERM.
        this = asyncio.current_task()
        assert this is not None
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, this.cancel)
        return await run_share(scenario, target, share, headers, report)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    messages.put((share.index, "done", asyncio.run(run())))


@dataclass(slots=True)
class _Received:
    """What the processes have told, by their number."""

    latest: dict[int, Group] = field(default_factory=dict)
    finished: dict[int, tuple[Tally, float]] = field(default_factory=dict)

    def total(self) -> tuple[Tally, float]:
        total = Tally()
        for index in sorted(self.finished):
            total.add(self.finished[index][0])
        return total, max(elapsed_s for _, elapsed_s in self.finished.values())


def _collect(
    received: _Received,
    messages: Any,
    workers: list[Any],
    scenario: Scenario,
    start_unix_s: float,
    progress: Progress,
) -> None:
    """Until every process has told its result."""
    latest, finished = received.latest, received.finished
    patience_s = scenario.duration_s + scenario.bounds.timeout_s + scenario.bounds.drain_s + _GRACE_S
    while len(finished) < len(workers):
        try:
            index, kind, payload = messages.get(timeout=1.0)
        except queue.Empty:
            lost = [i for i, worker in enumerate(workers) if i not in finished and not worker.is_alive()]
            if lost or time.time() > start_unix_s + patience_s:
                raise WorkerDied("a process of the load generator ended before its share was done") from None
            continue
        if kind == "done":
            finished[index] = payload
        else:
            latest[index] = payload
            progress(_sum_groups(latest), time.time() - start_unix_s)


def _sum_groups(groups: Mapping[int, Group]) -> Group:
    total = Group()
    for group in groups.values():
        total.add(group)
    return total

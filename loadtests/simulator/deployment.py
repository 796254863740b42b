"""One simulated deployment: replicas that start, work and drain, and the handle that queues before them.

A handle picks the less busy of two random replicas, as Ray's default router does, among those with a free
slot. Its polling for one (5 to 20 ms) is not simulated. GPU fractions are granted whole: two replicas on
one GPU do not slow each other down here, their times are taken as measured at their fraction.
"""

import itertools
import random
from collections import deque
from dataclasses import dataclass
from enum import Enum

from deployments.autoscaling import REQUEST_METRIC, WORK_METRIC, autoscaling_config
from deployments.engine.costs import Mean
from deployments.engine.work import Rules
from deployments.spec import let_through
from loadtests.simulator.autoscaler import Autoscaler, Sample
from loadtests.simulator.engine import Job, StepEngine
from loadtests.simulator.world import SimulatedModel


class Phase(Enum):
    STARTING = "starting"
    RUNNING = "running"
    DRAINING = "draining"


class Replica:
    __slots__ = (
        "engine",
        "gpu",
        "known",
        "name",
        "ongoing",
        "phase",
        "placed_s",
        "request_work",
        "scheduled_s",
    )

    def __init__(self, name: str, engine: StepEngine, gpu: int | None, placed_s: float) -> None:
        self.name = name
        self.engine = engine
        self.gpu = gpu
        self.placed_s = placed_s
        self.phase = Phase.STARTING
        self.ongoing = 0
        self.known = False
        """Whether the handle has sent it anything: it counts for those only."""
        self.request_work = Mean()
        self.scheduled_s = float("inf")
        """The earliest moment at which the simulation will look at the engine."""


class Gpus:
    """Whole devices, filled the fullest first, so that large fractions find room."""

    def __init__(self, count: float) -> None:
        self._free = [1.0] * int(count)

    def place(self, share: float) -> int | None:
        """The device that grants `share`, or None while none can. Several whole GPUs are not simulated."""
        fitting = [index for index, free in enumerate(self._free) if free >= share - 1e-9]
        if not fitting:
            return None
        chosen = min(fitting, key=lambda index: self._free[index])
        self._free[chosen] -= share
        return chosen

    def give_back(self, index: int, share: float) -> None:
        self._free[index] += share


@dataclass(frozen=True, slots=True)
class Started:
    replica: Replica
    ready_s: float


class Deployment:
    """`target` is what the autoscaler wants; replicas follow as GPUs allow."""

    def __init__(self, name: str, spec: SimulatedModel, gpus: Gpus, rng: random.Random) -> None:
        self.name = name
        self.spec = spec
        self.replicas: list[Replica] = []
        self.queue: deque[Job] = deque()
        self.target = max(spec.autoscaling.min_replicas, spec.autoscaling.initial_replicas or 0)
        self.gpu_s = 0.0
        self.scale_ups = self.scale_downs = 0
        self.autoscaler = Autoscaler(name, autoscaling_config(spec.autoscaling, spec.work_scaling))
        self._costs = spec.costs()
        self._rules = Rules()
        self._gpus = gpus
        self._rng = rng
        self._names = itertools.count()

    @property
    def running(self) -> list[Replica]:
        return [replica for replica in self.replicas if replica.phase is Phase.RUNNING]

    def submit(self, job: Job) -> Replica | None:
        """The replica that takes the job at once; None when it waits in the handle. See `is_full`."""
        replica = self._choose()
        if replica is None:
            self.queue.append(job)
        else:
            self._send(job, replica)
        return replica

    @property
    def is_full(self) -> bool:
        limit = self.spec.max_queued_requests
        return limit >= 0 and len(self.queue) >= limit and self._choose() is None

    def next_queued(self) -> tuple[Job, Replica] | None:
        """A job that has waited, and the replica that has a slot for it now."""
        replica = self._choose() if self.queue else None
        if replica is None:
            return None
        job = self.queue.popleft()
        self._send(job, replica)
        return job, replica

    def withdraw(self, job: Job) -> bool:
        """Takes a job out of the handle's queue; false when it is not there any more."""
        try:
            self.queue.remove(job)
        except ValueError:
            return False
        return True

    def sample(self, now_s: float) -> Sample:
        """What the handle sees: those at the router's gate have not reached it."""
        running, spec = self.running, self.spec
        held = {each.name: each.ongoing for each in running if each.known}
        places = let_through(len(running), spec.max_ongoing_requests, spec.autoscaling, spec.work_scaling)
        return Sample(now_s, min(len(self.queue), max(0, places - sum(held.values()))), held)

    def record_stats(self, replica: Replica, now_s: float) -> None:
        """What a replica notes of itself, as deployments.replica has it."""
        stats = {WORK_METRIC: replica.engine.work_s(now_s), REQUEST_METRIC: replica.request_work.seconds}
        self.autoscaler.reports.record(replica.name, now_s, stats)

    def wait_ms(self, now_s: float) -> float:
        """What replicas report of their queues: the least busy one's."""
        return 1000 * min((each.engine.backlog_s(now_s) for each in self.running), default=0.0)

    def parallelism(self) -> float:
        """Images at once, over all replicas; one that is to start counts as well."""
        return max(1, len(self.running)) * self.spec.parallelism()

    def start_missing(self, now_s: float) -> list[Started]:
        """Starts replicas up to the target, as far as GPUs reach."""
        started: list[Started] = []
        active = sum(replica.phase is not Phase.DRAINING for replica in self.replicas)
        while active < self.target:
            gpu = self._gpus.place(self.spec.num_gpus) if self.spec.num_gpus else None
            if self.spec.num_gpus and gpu is None:
                break
            engine = StepEngine(self._costs, self._rules)
            replica = Replica(f"{self.name}#{next(self._names)}", engine, gpu, now_s)
            self.replicas.append(replica)
            started.append(Started(replica, now_s + self._cold_start_s()))
            active += 1
        return started

    def stop_surplus(self) -> list[Replica]:
        """Stops replicas down to the target, those that still start first, then the newest, as Ray does."""
        active = [replica for replica in self.replicas if replica.phase is not Phase.DRAINING]
        surplus = len(active) - self.target
        if surplus <= 0:
            return []
        active.reverse()
        active.sort(key=lambda replica: replica.phase is Phase.RUNNING)
        for replica in active[:surplus]:
            replica.phase = Phase.DRAINING
        return active[:surplus]

    def remove(self, replica: Replica, now_s: float) -> None:
        self.replicas.remove(replica)
        self.autoscaler.reports.forget(replica.name)
        self.gpu_s += self.spec.num_gpus * (now_s - replica.placed_s)
        if replica.gpu is not None:
            self._gpus.give_back(replica.gpu, self.spec.num_gpus)

    def close(self, now_s: float) -> None:
        """Counts the GPU time of what still stands at the end."""
        for replica in self.replicas:
            self.gpu_s += self.spec.num_gpus * (now_s - replica.placed_s)

    def _choose(self) -> Replica | None:
        limit = self.spec.max_ongoing_requests
        free = [
            replica for replica in self.replicas if replica.phase is Phase.RUNNING and replica.ongoing < limit
        ]
        if len(free) <= 1:
            return free[0] if free else None
        first, second = self._rng.sample(free, 2)
        return first if first.ongoing <= second.ongoing else second

    def _cold_start_s(self) -> float:
        spread = self.spec.cold_start_spread
        return self.spec.cold_start_s * (self._rng.lognormvariate(0.0, spread) if spread else 1.0)

    def _send(self, job: Job, replica: Replica) -> None:
        replica.ongoing += 1
        replica.known = True
        replica.request_work.observe(job.steps_left * self._costs.share_s(job.shape))

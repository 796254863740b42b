"""The event loop: arrivals, decisions by the real policy engine, replicas, and the autoscalers' ticks.

Deterministic: the same world, calls and seed give the same result. Times are seconds from the start.
"""

import itertools
import random
from collections.abc import Iterable

from deployments.engine.work import Shape
from loadtests.simulator.autoscaler import ray_policies_on
from loadtests.simulator.deployment import Deployment, Gpus, Phase, Replica
from loadtests.simulator.engine import Job
from loadtests.simulator.flight import Flight, asset_request
from loadtests.simulator.result import OK, Result, Rows
from loadtests.simulator.timeline import Timeline
from loadtests.simulator.world import World
from loadtests.workload import Call
from routing.fallback import next_plan
from routing.types import AssetRequest, Decision, ModelState, Outcome, Plan, Snapshot


class Simulation:
    """Run once, with `run`."""

    def __init__(
        self, world: World, seed: int = 0, push_phase: float = 0.0, replica_phase: float | None = None
    ) -> None:
        self._world = world
        self._push_phase = push_phase
        self._replica_phase = push_phase if replica_phase is None else replica_phase
        self._engine = world.engine()
        gpus = Gpus(world.gpus)
        rng = random.Random(seed)
        self._deployments = {name: Deployment(name, spec, gpus, rng) for name, spec in world.models.items()}
        self._time = Timeline()
        self._jobs = itertools.count()
        self._shapes: dict[tuple[int, int], Shape] = {}
        self._requests: dict[tuple[str, int], AssetRequest] = {}
        self._decisions: dict[tuple[str, int], Decision] = {}
        self._snapshot = Snapshot()
        self._snapshot_s = -1e9
        self._rows = Rows()
        self._trajectories: dict[str, list[tuple[float, int]]] = {name: [] for name in world.models}

    def run(self, calls: Iterable[Call], duration_s: float) -> Result:
        """`calls` by ascending time. Ticks go on until `duration_s`, requests until all have ended."""
        self._time.until_s = duration_s
        with ray_policies_on(lambda: self._time.now_s):
            self._begin()
            for call in calls:
                self._time.run_until(call.at_s)
                self._time.now_s = call.at_s
                self._arrive(call)
            self._time.run_until(float("inf"))
        end_s = max(duration_s, self._time.now_s)
        for deployment in self._deployments.values():
            deployment.close(end_s)
        return Result(
            requests=self._rows.columns(),
            duration_s=end_s,
            replicas=self._trajectories,
            gpu_s={name: each.gpu_s for name, each in self._deployments.items()},
            scalings={name: (each.scale_ups, each.scale_downs) for name, each in self._deployments.items()},
        )

    def _begin(self) -> None:
        for deployment in self._deployments.values():
            autoscaler, scaling = deployment.autoscaler, deployment.spec.autoscaling
            phase_s = self._push_phase * autoscaler.push_interval_s
            replica_phase_s = self._replica_phase * autoscaler.push_interval_s
            # The service has been up before the first request: what it starts with is warm.
            for started in deployment.start_missing(0.0):
                started.replica.phase = Phase.RUNNING
                self._begin_reporting(deployment, started.replica, replica_phase_s)
            self._note_replicas(deployment)
            if scaling.min_replicas < scaling.max_replicas:
                record_s, push_s = autoscaler.record_interval_s, autoscaler.push_interval_s
                self._time.every(record_s, phase_s % record_s, self._record, deployment)
                self._time.every(push_s, phase_s % push_s, self._push, deployment)
                self._time.every(self._world.control_interval_s, 0.0, self._tick, deployment)

    def _begin_reporting(self, deployment: Deployment, replica: Replica, from_s: float) -> None:
        """As replicas do for policies that read their metrics. The first report of all is empty."""
        if deployment.spec.work_scaling is not None:
            what = (deployment, replica)
            self._time.at(from_s, self._record_stats, what)
            self._time.at(from_s + deployment.autoscaler.push_interval_s, self._push_stats, what)

    # Requests

    def _arrive(self, call: Call) -> None:
        decision = self._decide(call)
        budget_ms = decision.budget_ms
        deadline_s = None if budget_ms is None else call.at_s + budget_ms / 1000
        flight = Flight(call, decision, deadline_s)
        if not decision.chain:
            refusal = decision.refusal or Outcome.REFUSED_CAPACITY
            self._end(flight, OK if decision.raster else refusal.value)
            return
        self._try(flight, decision.chain[0])

    def _decide(self, call: Call) -> Decision:
        """Equal requests get equal decisions from an equal snapshot: the policy engine is pure."""
        self._refresh_snapshot()
        key = (call.shot.name, call.turn % len(call.shot.prompts))
        decision = self._decisions.get(key)
        if decision is None:
            request = self._requests.get(key)
            if request is None:
                request = self._requests[key] = asset_request(call)
            decision = self._decisions[key] = self._engine.decide(request, self._snapshot, self._time.now_s)
        return decision

    def _refresh_snapshot(self) -> None:
        if self._time.now_s - self._snapshot_s < self._world.load_poll_interval_s:
            return
        self._snapshot_s = self._time.now_s
        states = {
            name: ModelState(wait_ms=each.wait_ms(self._time.now_s), parallelism=each.parallelism())
            for name, each in self._deployments.items()
        }
        if states != self._snapshot.models:
            self._snapshot = Snapshot(states)
            self._decisions.clear()

    def _try(self, flight: Flight, plan: Plan) -> None:
        flight.plan = plan
        flight.attempt += 1
        flight.stage = 0
        self._enter_stage(flight)

    def _enter_stage(self, flight: Flight) -> None:
        assert flight.plan is not None
        stage = flight.plan.stages[flight.stage]
        deployment = self._deployments[stage.model]
        if deployment.is_full:
            self._fail(flight, Outcome.REFUSED_CAPACITY)
            return
        shape = self._shapes.setdefault((stage.width, stage.height), Shape(stage.width, stage.height))
        flight.waiting_for = flight.call.shot.n
        delay_s = deployment.spec.overhead_ms / 2000
        steps = stage.steps or deployment.spec.default_steps
        owner = (flight, flight.attempt)
        for _ in range(flight.waiting_for):
            job = Job(next(self._jobs), shape, steps, self._time.now_s, flight.deadline_s, owner)
            replica = deployment.submit(job)
            if replica is not None:
                self._time.at(self._time.now_s + delay_s, self._give, (deployment, replica, job))
            elif flight.deadline_s is not None:
                self._time.at(max(self._time.now_s, flight.deadline_s), self._expire, (deployment, job))

    def _expire(self, what: tuple[Deployment, Job]) -> None:
        """The deadline of a job has passed. If it still waits in the handle, its caller gives up."""
        deployment, job = what
        if deployment.withdraw(job):
            flight, attempt = job.owner
            if attempt == flight.attempt and flight.plan is not None:
                self._fail(flight, Outcome.DEADLINE_EXCEEDED)

    def _give(self, what: tuple[Deployment, Replica, Job]) -> None:
        deployment, replica, job = what
        replica.engine.add(job, self._time.now_s)
        self._look_at(deployment, replica)

    def _look_at(self, deployment: Deployment, replica: Replica) -> None:
        """Makes sure that the engine is advanced when it wants to be."""
        if replica.engine.wake_s < replica.scheduled_s:
            replica.scheduled_s = replica.engine.wake_s
            self._time.at(replica.scheduled_s, self._advance, (deployment, replica))

    def _advance(self, what: tuple[Deployment, Replica]) -> None:
        deployment, replica = what
        if self._time.now_s >= replica.scheduled_s:
            replica.scheduled_s = float("inf")
        if self._time.now_s + 1e-12 < replica.engine.wake_s:
            self._look_at(deployment, replica)
            return
        finished, refused = replica.engine.advance(self._time.now_s)
        self._look_at(deployment, replica)
        decode_s = deployment.spec.overhead_ms / 2000
        for job in finished:
            self._time.at(self._time.now_s + decode_s, self._leave, (deployment, replica, job, None))
        for job in refused:
            self._leave((deployment, replica, job, Outcome.DEADLINE_EXCEEDED))

    def _leave(self, what: tuple[Deployment, Replica, Job, Outcome | None]) -> None:
        deployment, replica, job, failure = what
        replica.ongoing -= 1
        if replica.phase is Phase.DRAINING and not replica.ongoing:
            deployment.remove(replica, self._time.now_s)
            self._start_missing_everywhere()
        self._serve_queue(deployment)
        flight, attempt = job.owner
        if attempt != flight.attempt or flight.plan is None:
            return
        if failure is not None:
            self._fail(flight, failure)
            return
        flight.waiting_for -= 1
        if flight.waiting_for:
            return
        flight.stage += 1
        if flight.stage < len(flight.plan.stages):
            self._enter_stage(flight)
        else:
            self._end(flight, OK)

    def _serve_queue(self, deployment: Deployment) -> None:
        while (found := deployment.next_queued()) is not None:
            job, replica = found
            delay_s = deployment.spec.overhead_ms / 2000
            self._time.at(self._time.now_s + delay_s, self._give, (deployment, replica, job))

    def _fail(self, flight: Flight, outcome: Outcome) -> None:
        assert flight.plan is not None
        flight.failed.append((flight.plan, outcome))
        remaining_ms = None if flight.deadline_s is None else (flight.deadline_s - self._time.now_s) * 1000
        plan = next_plan(flight.decision, flight.failed, remaining_ms, self._snapshot)
        if plan is not None:
            self._try(flight, plan)
        else:
            self._end(flight, OK if flight.decision.raster else outcome.value)

    def _end(self, flight: Flight, code: str) -> None:
        rows, call = self._rows, flight.call
        budget_ms = flight.decision.budget_ms
        rows.at_s.append(call.at_s)
        rows.latency_ms.append((self._time.now_s - call.at_s) * 1000)
        rows.budget_ms.append(float("inf") if budget_ms is None else budget_ms)
        rows.shot.append(rows.number(call.shot.name))
        rows.route.append(rows.number(flight.decision.route))
        rows.model.append(rows.number("+".join(flight.plan.models) if flight.plan else "none"))
        rows.outcome.append(rows.number(code))
        rows.rung.append(flight.plan.rung if flight.plan else 0)
        rows.attempts.append(max(1, flight.attempt))
        flight.plan = None

    # Scaling

    def _record(self, deployment: Deployment) -> None:
        deployment.autoscaler.record(deployment.sample(self._time.now_s))

    def _push(self, deployment: Deployment) -> None:
        deployment.autoscaler.push(deployment.sample(self._time.now_s))

    def _record_stats(self, what: tuple[Deployment, Replica]) -> None:
        deployment, replica = what
        if replica.phase is Phase.RUNNING:
            deployment.record_stats(replica, self._time.now_s)
            self._time.after(deployment.autoscaler.record_interval_s, self._record_stats, what)

    def _push_stats(self, what: tuple[Deployment, Replica]) -> None:
        deployment, replica = what
        if replica.phase is Phase.RUNNING:
            deployment.autoscaler.reports.push(replica.name, self._time.now_s)
            self._time.after(deployment.autoscaler.push_interval_s, self._push_stats, what)

    def _tick(self, deployment: Deployment) -> None:
        running = [replica.name for replica in deployment.running]
        if not running and deployment.queue:
            # A handle with a queue and no replica reports at once.
            self._push(deployment)
        wanted = deployment.autoscaler.decide(self._time.now_s, running, deployment.target)
        if wanted == deployment.target:
            return
        deployment.scale_ups += wanted > deployment.target
        deployment.scale_downs += wanted < deployment.target
        deployment.target = wanted
        for replica in deployment.stop_surplus():
            if not replica.ongoing:
                deployment.remove(replica, self._time.now_s)
        self._start_missing_everywhere()
        self._note_replicas(deployment)

    def _start_missing_everywhere(self) -> None:
        for deployment in self._deployments.values():
            for started in deployment.start_missing(self._time.now_s):
                self._time.at(started.ready_s, self._ready, (deployment, started.replica))

    def _ready(self, what: tuple[Deployment, Replica]) -> None:
        deployment, replica = what
        if replica.phase is not Phase.STARTING:
            return
        replica.phase = Phase.RUNNING
        self._begin_reporting(deployment, replica, self._time.now_s)
        self._note_replicas(deployment)
        self._serve_queue(deployment)

    def _note_replicas(self, deployment: Deployment) -> None:
        self._trajectories[deployment.name].append((self._time.now_s, len(deployment.running)))


def simulate(
    world: World,
    calls: Iterable[Call],
    duration_s: float,
    seed: int = 0,
    push_phase: float = 0.0,
    replica_phase: float | None = None,
) -> Result:
    """`push_phase` (0..1) is where in their reporting period handles are at the start, `replica_phase` where
    the replicas are that run then: in the same place if nothing is said."""
    return Simulation(world, seed, push_phase, replica_phase).run(calls, duration_s)

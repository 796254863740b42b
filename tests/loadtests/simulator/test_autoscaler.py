"""Against Ray's own autoscaling state of a deployment, fed with the same reports at the same times."""

from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ray.serve import autoscaling_policy as ray_policy
from ray.serve._private import autoscaling_state as ray_state
from ray.serve._private.common import (
    RUNNING_REQUESTS_KEY,
    DeploymentHandleSource,
    DeploymentID,
    HandleMetricReport,
    ReplicaID,
    ReplicaMetricReport,
    TimeStampedValue,
)
from ray.serve._private.metrics_utils import InMemoryMetricsStore
from ray.serve.config import AutoscalingConfig, AutoscalingPolicy

from deployments.autoscaling import REQUEST_METRIC, WORK_METRIC, WorkAutoscalingPolicy
from loadtests.simulator.autoscaler import Autoscaler, Sample, ray_policies_on

DEPLOYMENT = DeploymentID("unet", "simulated")
LATE_S = 1.7e9
"""Ray rounds wall-clock times; near zero it would round differently."""


class Clock:
    def __init__(self):
        self.now_s = LATE_S

    def time(self):
        return self.now_s

    monotonic = time


class RayDeployment:
    """Ray's state, driven as its controller and a handle drive it."""

    def __init__(self, config):
        self.config = config
        self.state = ray_state.DeploymentAutoscalingState(DEPLOYMENT)
        self.points = []
        self.stores = {}
        self.state.register(
            SimpleNamespace(
                deployment_config=SimpleNamespace(autoscaling_config=config, gang_scheduling_config=None),
                target_capacity=None,
                target_capacity_direction=None,
                config_changed=lambda other: False,
            ),
            0,
        )

    def record(self, sample):
        self.points.append(sample)
        self._prune(sample.at_s)

    def push(self, now):
        self._prune(now.at_s)
        points = self.points or [now]
        running = {}
        for sample in points:
            for name, count in sample.running.items():
                key = ReplicaID(name, DEPLOYMENT).to_full_id_str()
                running.setdefault(key, []).append(TimeStampedValue(sample.at_s, count))
        self.state.record_request_metrics_for_handle(
            HandleMetricReport(
                deployment_id=DEPLOYMENT,
                handle_id="handle",
                actor_id="",
                handle_source=DeploymentHandleSource.UNKNOWN,
                queued_requests=[TimeStampedValue(sample.at_s, sample.queued) for sample in points],
                metrics={RUNNING_REQUESTS_KEY: running},
                timestamp=now.at_s,
            )
        )

    def record_stats(self, replica, at_s, stats):
        self.stores.setdefault(replica, InMemoryMetricsStore()).add_metrics_point(stats, at_s)

    def push_stats(self, replica, now_s):
        """As a replica's ReplicaMetricsManager."""
        store = self.stores.setdefault(replica, InMemoryMetricsStore())
        store.prune_keys_and_compact_data(now_s - self.config.look_back_period_s)
        metrics = {name: list(points) for name, points in store.data.items()}
        report = ReplicaMetricReport(ReplicaID(replica, DEPLOYMENT), metrics=metrics, timestamp=now_s)
        self.state.record_request_metrics_for_replica(report)

    def decide(self, running, target):
        self.state.update_running_replica_ids([ReplicaID(name, DEPLOYMENT) for name in running])
        return self.state.get_decision_num_replicas(target)

    def _prune(self, now_s):
        self.points = [each for each in self.points if each.at_s >= now_s - self.config.look_back_period_s]


class Reporting:
    """Notes and passes on a replica's own metrics at Ray's intervals from its start on; the first report is
    empty."""

    def __init__(self, autoscaler, record, push):
        self.intervals = [(record, autoscaler.record_interval_s), (push, autoscaler.push_interval_s)]
        self.due_s = {}

    def tick(self, now_s, sample):
        for name, count in sample.running.items():
            stats = {WORK_METRIC: 0.7 * count, REQUEST_METRIC: 0.9 if count else 0.0}
            due_s = self.due_s.setdefault(name, [now_s, now_s])
            for which, (act, interval_s) in enumerate(self.intervals):
                if now_s >= due_s[which]:
                    act(name, now_s, stats)
                    due_s[which] += interval_s


def both_decide(config, load, monkeypatch, control_s=0.5, reporting=False):
    """Runs both through `load` (requests at each second), with replicas that follow their target after 5 s
    and report their own metrics if `reporting`. Returns the targets of both at each tick."""
    clock = Clock()
    monkeypatch.setattr(ray_policy, "time", clock)
    monkeypatch.setattr(ray_state, "time", clock)
    theirs, ours = RayDeployment(config), Autoscaler("unet", config)
    reports = [
        Reporting(ours, theirs.record_stats, lambda name, now_s, _: theirs.push_stats(name, now_s)),
        Reporting(ours, ours.reports.record, lambda name, now_s, _: ours.reports.push(name, now_s)),
    ]
    targets = [[], []]
    sides = [{"target": config.min_replicas, "running": {}} for _ in range(2)]
    next_record_s, next_push_s = LATE_S + ours.record_interval_s, LATE_S + ours.push_interval_s
    for tick in range(int(len(load) / control_s)):
        clock.now_s = LATE_S + tick * control_s
        requests = load[int(tick * control_s)]
        running = [_running(side, clock.now_s) for side in sides]
        samples = [_sample(clock.now_s, requests, names) for names in running]
        if clock.now_s >= next_record_s:
            theirs.record(samples[0])
            ours.record(samples[1])
            next_record_s += ours.record_interval_s
        if clock.now_s >= next_push_s or (requests and not running[0]):
            theirs.push(samples[0])
            ours.push(samples[1])
            next_push_s = max(next_push_s, clock.now_s - 1e-9 + ours.push_interval_s)
        if reporting:
            for report, sample in zip(reports, samples, strict=True):
                report.tick(clock.now_s, sample)
        theirs_wanted = theirs.decide(running[0], sides[0]["target"])
        with ray_policies_on(clock.time):
            ours_wanted = ours.decide(clock.now_s, running[1], sides[1]["target"])
        for side, wanted, seen in zip(sides, (theirs_wanted, ours_wanted), targets, strict=True):
            side["target"] = wanted
            seen.append(wanted)
    return targets


def _running(side, now_s):
    """Replicas named by number: new ones count after 5 s, surplus ones leave at once."""
    replicas = side["running"]
    for number in range(side["target"]):
        replicas.setdefault(f"r{number}", now_s + 5)
    for name in [name for name in replicas if int(name[1:]) >= side["target"]]:
        del replicas[name]
    return [name for name, ready_s in replicas.items() if ready_s <= now_s]


def _sample(now_s, requests, names):
    if not names:
        return Sample(now_s, requests, {})
    each, more = divmod(min(requests, 4 * len(names)), len(names))
    running = {name: each + (index < more) for index, name in enumerate(names)}
    return Sample(now_s, requests - sum(running.values()), running)


loads = st.lists(st.tuples(st.integers(0, 30), st.integers(5, 40)), min_size=2, max_size=6).map(
    lambda pieces: [level for level, seconds in pieces for _ in range(seconds)]
)
configs = st.builds(
    lambda low, more, **options: AutoscalingConfig(min_replicas=low, max_replicas=low + more, **options),
    low=st.integers(0, 2),
    more=st.integers(1, 8),
    target_ongoing_requests=st.sampled_from([1.0, 2.0, 3.5]),
    look_back_period_s=st.sampled_from([5.0, 10.0, 30.0]),
    upscale_delay_s=st.sampled_from([0.0, 3.0, 10.0]),
    downscale_delay_s=st.sampled_from([0.0, 5.0, 20.0]),
    upscaling_factor=st.sampled_from([0.5, 1.0, 2.0]),
    downscaling_factor=st.sampled_from([0.5, 1.0]),
    metrics_interval_s=st.sampled_from([1.0, 5.0, 10.0]),
    aggregation_function=st.just("mean"),
)


@settings(max_examples=40, deadline=None)
@given(configs, loads)
def test_decisions_are_those_of_the_installed_ray(config, load):
    with pytest.MonkeyPatch.context() as patch:
        theirs, ours = both_decide(config, load, patch)
    assert ours == theirs


@pytest.mark.parametrize("reporting", [False, True])
@settings(max_examples=10, deadline=None)
@given(load=loads, look_back_s=st.sampled_from([11.0, 30.0]))
def test_our_policy_class_decides_the_same_inside_ray_and_in_the_simulator(reporting, load, look_back_s):
    config = AutoscalingConfig(
        min_replicas=0,
        max_replicas=8,
        upscale_delay_s=0,
        downscale_delay_s=10,
        look_back_period_s=look_back_s,
        policy=AutoscalingPolicy(
            policy_function=WorkAutoscalingPolicy,
            policy_kwargs={"target_work_s": 3.0, "warm_spares": 1, "lead_s": 5.0},
        ),
    )
    with pytest.MonkeyPatch.context() as patch:
        theirs, ours = both_decide(config, load, patch, reporting=reporting)
    assert ours == theirs


@given(st.lists(st.tuples(st.floats(0.1, 20), st.floats(0, 50), st.booleans()), min_size=1, max_size=20))
def test_replicas_own_metrics_are_averaged_as_the_installed_ray_does(events):
    config = AutoscalingConfig(min_replicas=0, max_replicas=8, look_back_period_s=15)
    clock = Clock()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ray_state, "time", clock)
        theirs, ours = RayDeployment(config), Autoscaler("unet", config).reports
        theirs.state.update_running_replica_ids([ReplicaID("r0", DEPLOYMENT)])
        for elapsed_s, value, pushed in events:
            clock.now_s += elapsed_s
            theirs.record_stats("r0", clock.now_s, {WORK_METRIC: value})
            ours.record("r0", clock.now_s, {WORK_METRIC: value})
            if pushed:
                theirs.push_stats("r0", clock.now_s)
                ours.push("r0", clock.now_s)
            clock.now_s += 0.25
            expected = theirs.state._get_aggregated_custom_metrics()
            seen = {name: list(each.values()) for name, each in expected.items()}
            assert {
                name: list(each.values()) for name, each in ours.aggregated(["r0"], clock.now_s).items()
            } == seen


def test_the_stock_policy_takes_the_known_path(monkeypatch):
    config = AutoscalingConfig(
        min_replicas=0,
        max_replicas=8,
        target_ongoing_requests=2,
        look_back_period_s=1,
        metrics_interval_s=0.2,
        upscale_delay_s=3,
        downscale_delay_s=10,
        downscale_to_zero_delay_s=20,
    )
    load = [0] + [10] * 20 + [0] * 60
    _, ours = both_decide(config, load, monkeypatch, control_s=0.1)
    path = [target for target, before in zip(ours, [None, *ours], strict=False) if target != before]
    assert path == [0, 1, 5, 1, 0]


def test_rays_clock_is_put_back():
    before = ray_policy.time
    with pytest.raises(RuntimeError), ray_policies_on(lambda: 0.0):
        raise RuntimeError
    assert ray_policy.time is before

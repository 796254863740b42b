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
    TimeStampedValue,
)
from ray.serve.config import AutoscalingConfig, AutoscalingPolicy

from deployments.autoscaling import WorkAutoscalingPolicy
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

    def decide(self, running, target):
        self.state.update_running_replica_ids([ReplicaID(name, DEPLOYMENT) for name in running])
        return self.state.get_decision_num_replicas(target)

    def _prune(self, now_s):
        self.points = [each for each in self.points if each.at_s >= now_s - self.config.look_back_period_s]


def both_decide(config, load, monkeypatch, control_s=0.5):
    """Runs both through `load` (requests at each second), with replicas that follow their target after 5 s.
    Returns the targets of both at each tick."""
    clock = Clock()
    monkeypatch.setattr(ray_policy, "time", clock)
    monkeypatch.setattr(ray_state, "time", clock)
    theirs, ours = RayDeployment(config), Autoscaler("unet", config)
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


@settings(max_examples=10, deadline=None)
@given(loads)
def test_our_policy_class_decides_the_same_inside_ray_and_in_the_simulator(load):
    config = AutoscalingConfig(
        min_replicas=0,
        max_replicas=8,
        upscale_delay_s=0,
        downscale_delay_s=10,
        policy=AutoscalingPolicy(
            policy_function=WorkAutoscalingPolicy,
            policy_kwargs={"target_work_s": 3.0, "warm_spares": 1, "lead_s": 5.0},
        ),
    )
    with pytest.MonkeyPatch.context() as patch:
        theirs, ours = both_decide(config, load, patch)
    assert ours == theirs


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

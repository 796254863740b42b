import random

import pytest

from deployments.autoscaling import REQUEST_METRIC, WORK_METRIC
from deployments.engine.work import Shape
from loadtests.simulator.deployment import Deployment, Gpus, Phase
from loadtests.simulator.engine import Job
from loadtests.simulator.world import SimulatedModel

SPEC = SimulatedModel.model_validate(
    {
        "step_ms": 100,
        "default_steps": 10,
        "max_ongoing_requests": 2,
        "max_queued_requests": -1,
        "autoscaling": {"min_replicas": 3, "max_replicas": 5},
        "work_scaling": {"target_work_s": 2},
    }
)


@pytest.fixture
def deployment():
    made = Deployment("x", SPEC, Gpus(0), random.Random(0))
    for started in made.start_missing(0.0):
        started.replica.phase = Phase.RUNNING
    return made


def job(number):
    return Job(number, Shape(512, 512), 10, 0.0, None, None)


def test_those_that_start_are_stopped_first_and_then_the_newest(deployment):
    deployment.target = 4
    deployment.start_missing(0.0)
    deployment.target = 2
    assert [replica.name for replica in deployment.stop_surplus()] == ["x#3", "x#2"]


def test_the_handle_counts_for_replicas_that_it_has_sent_something(deployment):
    assert deployment.sample(0.0).running == {}
    replica = deployment.submit(job(0))
    assert deployment.sample(0.0).running == {replica.name: 1}


def test_a_replica_reports_the_work_it_has_left_and_the_cost_of_what_it_took(deployment):
    replica = deployment.submit(job(0))
    replica.engine.add(job(0), 0.0)
    replica.engine.advance(0.0)
    names = [each.name for each in deployment.running]
    for each in deployment.running:
        deployment.record_stats(each, 0.25)
        deployment.autoscaler.reports.push(each.name, 0.3)
    reported = deployment.autoscaler.reports.aggregated(names, 0.4)
    assert reported[WORK_METRIC] == {name: pytest.approx(0.8 * (name == replica.name)) for name in names}
    assert reported[REQUEST_METRIC][replica.name] == pytest.approx(1.0)


def test_a_replica_that_has_left_is_forgotten(deployment):
    replica = deployment.running[0]
    deployment.record_stats(replica, 0.0)
    deployment.autoscaler.reports.push(replica.name, 0.0)
    deployment.remove(replica, 1.0)
    assert deployment.autoscaler.reports.aggregated([replica.name], 1.0) == {}

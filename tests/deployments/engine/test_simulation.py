"""Whole days in virtual time."""

import random

import pytest

from deployments.engine.costs import CostModel
from deployments.engine.desk import Desk
from deployments.engine.simulation import Arrival, Durations, End, Fate, Simulation, linear
from deployments.engine.work import Order, Rules, Shape

SHAPE = Shape(512, 512)


def simulate(
    arrivals: list[Arrival], rules: Rules | None = None, max_batch: int = 8, side_s: float = 0.0
) -> list[Fate]:
    desk = Desk(CostModel(8), rules or Rules())
    fates = Simulation(desk, Durations(linear(0.01, 0.005), side_s, side_s)).run(arrivals)
    assert len(fates) == len(arrivals)
    assert len(desk) == 0
    return fates


def crowd(rate_per_s: float, count: int, budgets: bool, seed: int = 0) -> list[Arrival]:
    chance, now_s, arrivals = random.Random(seed), 0.0, []
    for _ in range(count):
        now_s += chance.expovariate(rate_per_s)
        steps = 30 if chance.random() < 0.1 else 4
        budget_s = steps * 0.015 * chance.uniform(3, 8) if budgets else None
        arrivals.append(Arrival(now_s, SHAPE, steps, budget_s))
    return arrivals


def test_one_alone_takes_its_steps() -> None:
    [fate] = simulate([Arrival(1.0, SHAPE, 4)], side_s=0.1)
    assert fate.latency_s == pytest.approx(0.1 + 4 * 0.015 + 0.1)


def test_a_short_one_leaves_a_long_one_behind() -> None:
    fates = simulate([Arrival(0.0, SHAPE, 30), Arrival(0.02, SHAPE, 4)])
    assert [fate.arrival.steps for fate in fates] == [4, 30]
    assert fates[0].latency_s < 0.1


def test_text_and_images_do_not_stall_the_steps() -> None:
    """Preparing and decoding take longer than all the steps, yet a long request is not slowed by others'."""
    alone = simulate([Arrival(0.0, SHAPE, 30)], side_s=0.2)[0].latency_s
    crowded = simulate([Arrival(0.0, SHAPE, 30), *(Arrival(0.2, SHAPE, 1) for _ in range(3))], side_s=0.2)
    longest = next(fate for fate in crowded if fate.arrival.steps == 30)
    assert longest.latency_s <= alone + 3 * 0.2 + 0.1


def test_who_gives_up_takes_no_further_step() -> None:
    [fate] = simulate([Arrival(0.0, SHAPE, 100, leaves_after_s=0.1)])
    assert fate.end is End.CANCELLED
    assert fate.ended_s <= 0.1 + 0.015
    assert fate.steps_done <= 7


def test_the_same_day_twice_is_the_same_day() -> None:
    arrivals = crowd(60.0, 300, budgets=True)
    assert simulate(arrivals) == simulate(arrivals)


def test_without_deadlines_everybody_is_served_and_nobody_overtaken_for_long() -> None:
    fates = simulate(crowd(20.0, 300, budgets=False))
    assert all(fate.end is End.OK for fate in fates)


def test_at_overload_deadlines_first_keeps_more_promises_than_first_come() -> None:
    arrivals = crowd(40.0, 600, budgets=True)
    in_time = {
        order: sum(fate.in_time for fate in simulate(arrivals, Rules(order=order))) / len(arrivals)
        for order in (Order.DEADLINE, Order.ARRIVAL)
    }
    assert in_time[Order.DEADLINE] > in_time[Order.ARRIVAL] + 0.1


def test_what_is_admitted_at_overload_is_mostly_on_time() -> None:
    """Refusing early is the point: few images are made that come too late."""
    fates = simulate(crowd(40.0, 600, budgets=True))
    late = sum(fate.end is End.OK and not fate.in_time for fate in fates)
    assert late < 0.03 * len(fates)

"""How many requests meet their deadline under load, by the order they are taken in. In virtual time.

Nine in ten take 4 steps, one takes 30; a step of a batch of b takes 10 + 5 b ms, up to 8 share one.
Each is due after a random multiple of the time it takes alone. Load is relative to what full batches can do.

The second table is of the same requests with so much time that nobody is late, whatever the order: what
remains to be gained is that short ones need not wait for long ones, which may be of the same size or larger
(then they never share a step).

    python -m benchmarks.engine_slo
"""

import itertools
from dataclasses import replace

from benchmarks.engine_workload import LONG_SHARE, LONG_STEPS, SHORT_STEPS, quantile, with_budgets
from deployments.engine.costs import CostModel
from deployments.engine.desk import Desk
from deployments.engine.simulation import Arrival, Durations, Fate, Simulation
from deployments.engine.work import Order, Rules, Shape

FIXED_S, EACH_S, PREPARE_S, DECODE_S, MAX_BATCH = 0.010, 0.005, 0.005, 0.015, 8
REQUESTS = 4_000
LOADS = (0.7, 0.9, 1.1, 1.3, 1.6)
GENEROSITY = {"tight": (2.0, 6.0), "loose": (4.0, 10.0)}
POINTS_BAR = 10.0
AMPLE_S, AMPLE_LOADS = 20.0, (0.5, 0.7, 0.9)
SMALL, LARGE = Shape(512, 512), Shape(1024, 1024)
LARGER = LARGE.width * LARGE.height // (SMALL.width * SMALL.height)

ALONE_S = {steps: PREPARE_S + steps * (FIXED_S + EACH_S) + DECODE_S for steps in (SHORT_STEPS, LONG_STEPS)}


def run(order: Order, load: float, generosity: tuple[float, float]) -> list[Fate]:
    return _simulated(order, with_budgets(load * _capacity_per_s(SMALL), REQUESTS, 1, ALONE_S, generosity))


def run_with_time(order: Order, load: float, size_of_long: Shape) -> list[Fate]:
    """Everybody is due after AMPLE_S."""
    arrivals = with_budgets(load * _capacity_per_s(size_of_long), REQUESTS, 1, ALONE_S, GENEROSITY["loose"])
    sizes = {SHORT_STEPS: SMALL, LONG_STEPS: size_of_long}
    return _simulated(order, [replace(one, budget_s=AMPLE_S, shape=sizes[one.steps]) for one in arrivals])


def _simulated(order: Order, arrivals: list[Arrival]) -> list[Fate]:
    desk = Desk(CostModel(MAX_BATCH), Rules(order=order))
    return Simulation(desk, Durations(_step_s, PREPARE_S, DECODE_S)).run(arrivals)


def _step_s(shape: Shape, rows: int) -> float:
    return FIXED_S + EACH_S * rows * (LARGER if shape == LARGE else 1)


def _capacity_per_s(size_of_long: Shape) -> float:
    """Of full batches."""
    short_s = (1 - LONG_SHARE) * SHORT_STEPS * _step_s(SMALL, MAX_BATCH)
    long_s = LONG_SHARE * LONG_STEPS * _step_s(size_of_long, MAX_BATCH)
    return MAX_BATCH / (short_s + long_s)


def attainment(fates: list[Fate], steps: int | None = None) -> float:
    """Percent in time, of all or of those with `steps`."""
    counted = [fate for fate in fates if steps in (None, fate.arrival.steps)]
    return 100 * sum(fate.in_time for fate in counted) / len(counted)


def wasted(fates: list[Fate]) -> float:
    """Percent of steps that went into images which came too late or never."""
    return (
        100
        * sum(fate.steps_done for fate in fates if not fate.in_time)
        / sum(fate.steps_done for fate in fates)
    )


def cell(fates: list[Fate]) -> str:
    short, long = attainment(fates, SHORT_STEPS), attainment(fates, LONG_STEPS)
    return f"{attainment(fates):10.1f} ({short:3.0f}, {long:3.0f}; {wasted(fates):2.0f})"


def latencies_ms(fates: list[Fate], steps: int) -> str:
    """p50 and p99."""
    seconds = [fate.latency_s for fate in fates if fate.arrival.steps == steps]
    return f"{quantile(seconds, 0.5) * 1000:6.0f}/{quantile(seconds, 0.99) * 1000:6.0f}"


def main() -> None:
    print(f"percent of {REQUESTS} requests in time (short, long; steps wasted)")
    print(
        f"{'deadlines':9} {'load':>4}" + "".join(f"{order.value:>26}" for order in Order) + "   points gained"
    )
    for name, generosity in GENEROSITY.items():
        for load in LOADS:
            fates = {order: run(order, load, generosity) for order in Order}
            cells = "".join(map(cell, fates.values()))
            gained = attainment(fates[Order.DEADLINE]) - attainment(fates[Order.ARRIVAL])
            print(f"{name:9} {load:4.1f}{cells}   {gained:+.1f}")
    print(f"wanted at overload: at least {POINTS_BAR:+.0f} points over the order of arrival")
    print(f"\nevery request due after {AMPLE_S:g} s: ms until the image, p50/p99")
    print(f"{'long ones':>10} {'load':>4} {'order':>9} {'short':>14} {'long':>14} {'in time':>8}")
    for size, load in itertools.product((SMALL, LARGE), AMPLE_LOADS):
        for order in (Order.DEADLINE, Order.ARRIVAL):
            timely = run_with_time(order, load, size)
            cells = " ".join(f"{latencies_ms(timely, steps):>14}" for steps in (SHORT_STEPS, LONG_STEPS))
            print(f"{size.width:>7} px {load:4.1f} {order.value:>9} {cells} {attainment(timely):7.1f}%")


if __name__ == "__main__":
    main()

"""How fast a day is simulated, and how the time grows with the requests.

    python -m benchmarks.loadtest_simulator

A world of two models and a policy; 10 requests per second for a tenth of a day (the baseline) and for a
day. Bars: a day in 60 s of one core; ten times the requests in at most 11 times the time.
"""

import sys
import time

from loadtests.arrivals import constant, schedule
from loadtests.simulator.simulation import simulate
from loadtests.simulator.world import parse_world
from loadtests.workload import Shot, calls

DAY_S = 86_400.0
RATE = 10.0
SHOTS = [Shot("badge", ["a new badge"], weight=2), Shot("poster", ["a lighthouse"], weight=1)]
WORLD = """
gpus: 8
models:
  creative:
    {step_ms: 15, step_ms_per_megapixel: 40, overhead_ms: 60, max_batch: 4, default_steps: 20, num_gpus: 0.5,
     cold_start_s: 23, autoscaling: {min_replicas: 1, max_replicas: 12, upscale_delay_s: 10,
                                     downscale_delay_s: 120}}
  typesetter: {step_ms: 20, autoscaling: {min_replicas: 1, max_replicas: 2}}
policy: |
  model_routing:
    - {pattern: ".*badge.*", model: typesetter, max_latency_ms: 300}
  default: {model: creative, max_latency_ms: 5000, fallback: [typesetter]}
"""


def measure(duration_s: float) -> tuple[int, float, float]:
    """Requests, CPU seconds, share of requests inside their budget."""
    due = list(calls(schedule(constant(RATE, duration_s), seed=1), SHOTS, seed=1))
    world = parse_world(WORLD)
    started_s = time.process_time()
    result = simulate(world, due, duration_s, seed=1)
    return len(result.requests), time.process_time() - started_s, 1 - result.violation_ratio


def main() -> None:
    print(f"{'simulated':>10} {'requests':>9} {'CPU s':>7} {'us/request':>11} {'in budget':>10}")
    taken = []
    for days in (0.1, 1.0):
        requests, cpu_s, good = measure(days * DAY_S)
        taken.append((requests, cpu_s))
        print(f"{days:>6g} day {requests:>9} {cpu_s:>7.1f} {cpu_s / requests * 1e6:>11.1f} {good:>10.4f}")
    growth = taken[1][1] / taken[0][1] / (taken[1][0] / taken[0][0])
    print(f"time per request at ten times the requests: {growth:.2f} of the baseline's (bar: 1.1)")
    print(f"a day: {taken[1][1]:.1f} s of one core (bar: 60)")
    sys.exit(0 if taken[1][1] <= 60 and growth <= 1.1 else 1)


if __name__ == "__main__":
    main()

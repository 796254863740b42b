"""Tuned autoscaling on a week of production traffic, against Ray Serve's defaults.

    python -m benchmarks.loadtest_tuner [--trials 60] [--model-gpus 16]

The trace is GenTD26's text-to-image requests, with their own steps and images (ATELIER_SHARED/traces, or
../shared/traces); the model loads in the published 22.7 s. Tuned on the first five days, judged on the
last two. Three rows: Ray's defaults, the best tuned stock policy, the best of all; each twice, for the
fewest violations at no more GPU time than the defaults and for the least GPU time at no more violations.
"""

import argparse
import csv
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from deployments.engine.work import Shape
from loadtests.simulator.world import SimulatedModel, World, parse_world
from loadtests.traffic import Traffic
from loadtests.tuner import Settings, Trial, judge, tune
from loadtests.workload import Call, Shot

DAY_S = 86_400.0
WORLD = """
gpus: {gpus}
control_interval_s: 5
models:
  base:
    step_ms: 100
    step_ms_per_megapixel: 150
    overhead_ms: 2000
    max_batch: 2
    default_steps: 30
    default_width: 1024
    default_height: 1024
    num_gpus: 1
    cold_start_s: 22.7
    max_ongoing_requests: 4
    max_queued_requests: -1
    autoscaling: {{min_replicas: {low}, max_replicas: {gpus}}}
policy: |
  model_routing: []
  default: {{model: base}}
"""


def trace_file() -> Path:
    shared = Path(os.environ.get("ATELIER_SHARED") or Path(__file__).parents[2] / "shared")
    return shared / "traces" / "gentd26_week1.csv"


def alone_ms(model: SimulatedModel, steps: int, images: int) -> float:
    """On a warm replica with nothing else to do, as routers predict it."""
    shape = Shape(model.default_width, model.default_height)
    once_ms = model.overhead_ms + steps * model.costs().step_s(shape, 1) * 1000
    return once_ms * max(1.0, images / model.parallelism())


def read_trace(path: Path, model: SimulatedModel, slo_scale: float) -> Traffic:
    shots: dict[tuple[int, int], Shot] = {}
    found: list[Call] = []
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            if row["task"] != "txt_2_img":
                continue
            steps, images = int(row["steps"]), int(row["images"])
            budget_ms = slo_scale * alone_ms(model, steps, images)
            name = f"{steps} steps, {images} images"
            shot = shots.setdefault(
                (steps, images), Shot(name, ["x"], steps=steps, n=images, max_latency_ms=budget_ms)
            )
            found.append(Call(len(found), float(row["arrival_s"]), shot, 0))
    return Traffic(found, 7 * DAY_S)


def best(trials: Sequence[Trial], baseline: Trial) -> list[tuple[str, Trial]]:
    """The two ways to be better than the baseline, where any trial is."""
    no_dearer = [trial for trial in trials if trial.gpu_s <= baseline.gpu_s]
    no_worse = [trial for trial in trials if trial.violation_ratio <= baseline.violation_ratio]
    found = []
    if no_dearer:
        found.append(("fewest violations", min(no_dearer, key=lambda trial: trial.violation_ratio)))
    if no_worse:
        found.append(("least GPU time", min(no_worse, key=lambda trial: trial.gpu_s)))
    return found


def row(name: str, trial: Trial, baseline: Trial) -> None:
    fewer = 1 - trial.violation_ratio / baseline.violation_ratio if baseline.violation_ratio else 0.0
    saved = 1 - trial.gpu_s / baseline.gpu_s
    print(f"{name:38} {trial.violation_ratio:>10.4f} {trial.gpu_s / 3600:>9.1f} {fewer:>9.0%} {saved:>9.0%}")


def run(world: World, traffic: Traffic, trials: int) -> None:
    tuned_on, judged_on = traffic.split(5 / 7)
    found = tune(world, "base", tuned_on, max_violation_ratio=0.01, trials=trials)
    spec = world.models["base"]
    baseline = judge(world, "base", Settings(spec.autoscaling), judged_on, seeds=[0])
    print(f"{'days 6 and 7':38} {'violations':>10} {'GPU hours':>9} {'fewer':>9} {'saved':>9}")
    row("Ray Serve's defaults", baseline, baseline)
    stock = [trial for trial in found.trials if trial.settings.work_scaling is None]
    work = [trial for trial in found.trials if trial.settings.work_scaling is not None]
    for policy, group in (("stock policy", stock), ("work policy", work)):
        for aim, trial in best(group, found.baseline):
            row(f"{policy}, {aim}", judge(world, "base", trial.settings, judged_on, [0]), baseline)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--model-gpus", type=int, default=16)
    parser.add_argument("--budget-ms", type=int, default=60_000)
    parser.add_argument("--min-replicas", type=int, default=1)
    options = parser.parse_args()
    if not trace_file().exists():
        sys.exit(f"{trace_file()} is missing: set ATELIER_SHARED to the folder that holds traces/")
    text = WORLD.format(gpus=options.model_gpus, low=options.min_replicas, budget_ms=options.budget_ms)
    run(parse_world(text), read_trace(trace_file()), options.trials)


if __name__ == "__main__":
    main()

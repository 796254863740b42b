"""A made-up run, for pages and charts."""

import numpy as np

from loadtests.observation import Answer, Observation, Unanswered
from loadtests.slo import judge, parse_objective
from loadtests.summary import RunFacts, summarize
from loadtests.tally import Tally
from loadtests.workload import Shot, calls


def made_up_run(name="evening <peak>", seed=1, seconds=120, slower=1.0):
    """A load with a slow stretch in the middle, refusals in it, and a few substitutions."""
    rng = np.random.default_rng(seed)
    shots = [
        Shot("badge", ["x"], weight=2, max_latency_ms=300),
        Shot("poster", ["y"], weight=1, max_latency_ms=1200),
    ]
    counted = Tally()
    for call in calls(np.sort(rng.uniform(0, seconds, seconds * 10)), shots, seed):
        busy = 1 + 4 * float(np.exp(-(((call.at_s - seconds / 2) / (seconds / 12)) ** 2)))
        latency_ms = float(rng.lognormal(4 if call.shot.name == "badge" else 6, 0.4)) * busy * slower
        if latency_ms > 2500 and rng.random() < 0.7:
            answer = Answer("refused_capacity" if rng.random() < 0.8 else Unanswered.TIMEOUT, 429)
        else:
            model = "typesetter" if call.shot.name == "badge" else "diffusion"
            rung = int(busy > 3 and rng.random() < 0.5)
            trace_id = f"{call.index:032x}"
            answer = Answer("ok", route=call.shot.name, model=model, rung=rung, trace_id=trace_id)
        counted.record(Observation(call, answer, 0.0, latency_ms))
    verdicts = judge([parse_objective(text) for text in ("p99_ms<=2000", "goodput_ratio>=0.9")], counted)
    facts = RunFacts("http://127.0.0.1:8000", name, 1.8e9, seconds, seconds + 1, seed)
    return summarize(facts, counted, verdicts)

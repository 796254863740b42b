"""What a stage will take, from what is known of its model. Formula: see `routing.types.ModelState`."""

import math

from routing.types import ModelFacts, ModelState


def run_ms(facts: ModelFacts, state: ModelState | None, steps: int, width: int, height: int, n: int) -> float:
    """Milliseconds of work for n images of width x height pixels, queueing apart. 0 for a model of which
    nothing is known."""
    megapixels = width * height / 1e6
    if state is None or state.observed == 0:
        once = facts.prior_overhead_ms + steps * (
            facts.prior_step_ms + facts.prior_step_ms_per_megapixel * megapixels
        )
    else:
        once = state.overhead_ms + steps * (state.step_ms + state.step_ms_per_megapixel * megapixels)
    parallelism = 1.0 if state is None else state.parallelism
    return once * max(1.0, n / parallelism)


CONFIDENCE = 2.33
"""Standard deviations of distance from a deadline: 99% of normally distributed errors stay within."""


def uncertainty_ms(state: ModelState | None, wait_ms: float, work_ms: float) -> float:
    """How much later than predicted a stage may end.

    A queue of k requests that each take `work_ms` with independent errors is wrong by sqrt(k) times as much
    as one of them; with `k = (wait + work) / work` that is `error_ratio * sqrt(work * (wait + work))`.
    """
    if state is None or state.error_ratio == 0:
        return 0.0
    return CONFIDENCE * state.error_ratio * math.sqrt(work_ms * (wait_ms + work_ms))


def cost_usd(facts: ModelFacts, predicted_run_ms: float, n: int) -> float:
    return facts.usd_per_image * n + facts.usd_per_gpu_s * predicted_run_ms / 1000

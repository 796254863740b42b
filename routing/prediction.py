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


UNKNOWN_QUEUE_LATE_RATIO = 0.1
"""For the first calls that queue, until it is known how well their queue is predicted."""


def spread_ms(wait_ms: float, work_ms: float) -> float:
    """What relative errors of a request's time are relative to.

    A queue of k requests that each take `work_ms` with independent errors is wrong by sqrt(k) times as much
    as one of them; with `k = (wait + work) / work` that is `sqrt(work * (wait + work))`.
    """
    return math.sqrt(work_ms * (wait_ms + work_ms))


def uncertainty_ms(state: ModelState | None, wait_ms: float, work_ms: float) -> float:
    """How much later than predicted a stage may end: 99 times in a hundred no more than that, by the errors
    of run times and by how late whole calls were. The way between router and replica comes on top."""
    if state is None:
        return 0.0
    late_ratio = state.late_ratio
    if late_ratio is None:
        late_ratio = UNKNOWN_QUEUE_LATE_RATIO if wait_ms > 0 else 0.0
    ratio = max(CONFIDENCE * state.error_ratio, late_ratio)
    return state.transport_ms + ratio * spread_ms(wait_ms, work_ms)


def cost_usd(facts: ModelFacts, predicted_run_ms: float, n: int) -> float:
    return facts.usd_per_image * n + facts.usd_per_gpu_s * predicted_run_ms / 1000

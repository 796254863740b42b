"""Searches autoscaling settings for the least GPU time that keeps the promise, by simulation.

Two aims pull against each other, GPU time and violations, so the search gives a front of settings none of
which is beaten in both; the recommendation is the cheapest on it that keeps the promise. What it was
tuned on is not what it is judged on: `judge` simulates traffic that the search has not seen.

Uses optuna (MIT; not a dependency of a serving role): tree-structured Parzen estimators for several aims
[Ozaki et al. 2022, "Multiobjective Tree-Structured Parzen Estimator"].
"""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from deployments.spec import Autoscaling, WorkScaling
from loadtests.simulator.simulation import simulate
from loadtests.simulator.world import SimulatedModel, World
from loadtests.traffic import Traffic

if TYPE_CHECKING:
    import optuna

_METRICS_INTERVAL_S = 10.0
"""Ray's default; a look-back period must be longer."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How one model scales."""

    autoscaling: Autoscaling
    work_scaling: WorkScaling | None = None

    def applied(self, world: World, model: str) -> World:
        update = {"autoscaling": self.autoscaling, "work_scaling": self.work_scaling}
        tuned: SimulatedModel = world.models[model].model_copy(update=update)
        return world.model_copy(update={"models": {**world.models, model: tuned}})


@dataclass(frozen=True, slots=True)
class Trial:
    """`gpu_s` and `violation_ratio` are means over seeds, `spread` the standard deviation of the latter."""

    settings: Settings
    gpu_s: float
    violation_ratio: float
    spread: float = 0.0


@dataclass(frozen=True, slots=True)
class Tuning:
    """`recommended` keeps the promise at least cost; if nothing does, it breaks it least."""

    baseline: Trial
    trials: Sequence[Trial]
    recommended: Trial
    keeps_promise: bool

    @property
    def front(self) -> list[Trial]:
        """Trials that no other beats in both aims, the cheapest first."""
        return pareto_front([self.baseline, *self.trials])


def tune(
    world: World,
    model: str,
    traffic: Traffic,
    *,
    max_violation_ratio: float,
    trials: int = 60,
    seeds: Sequence[int] = (0,),
    progress: Callable[[Trial], None] = lambda trial: None,
) -> Tuning:
    """Searches the settings of `model`; all else stays as the world has it. Deterministic.

    Raises ImportError without optuna, KeyError for a model that the world does not have.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    spec = world.models[model]
    baseline = judge(world, model, Settings(spec.autoscaling, spec.work_scaling), traffic, seeds)
    sampler = optuna.samplers.TPESampler(seed=0, n_startup_trials=max(5, trials // 4))
    study = optuna.create_study(directions=["minimize", "minimize"], sampler=sampler)
    tried: list[Trial] = []

    def objective(trial: "optuna.Trial") -> tuple[float, float]:
        result = judge(world, model, _suggested(trial, spec), traffic, seeds)
        tried.append(result)
        progress(result)
        return result.gpu_s, result.violation_ratio

    for start in _starts(spec)[: max(1, trials // 2)]:
        study.enqueue_trial(start)
    study.optimize(objective, n_trials=trials)
    return recommend(baseline, tried, max_violation_ratio)


def judge(world: World, model: str, settings: Settings, traffic: Traffic, seeds: Sequence[int]) -> Trial:
    """What these settings would have cost and broken with this traffic."""
    tuned = settings.applied(world, model)
    results = [simulate(tuned, traffic.calls, traffic.duration_s, seed) for seed in seeds]
    violations = [result.violation_ratio for result in results]
    return Trial(
        settings,
        gpu_s=statistics.fmean(result.total_gpu_s for result in results),
        violation_ratio=statistics.fmean(violations),
        spread=statistics.pstdev(violations),
    )


def recommend(baseline: Trial, trials: Sequence[Trial], max_violation_ratio: float) -> Tuning:
    candidates = [baseline, *trials]
    keeping = [trial for trial in candidates if trial.violation_ratio <= max_violation_ratio]
    if keeping:
        chosen = min(keeping, key=lambda trial: (trial.gpu_s, trial.violation_ratio))
    else:
        chosen = min(candidates, key=lambda trial: (trial.violation_ratio, trial.gpu_s))
    return Tuning(baseline, trials, chosen, bool(keeping))


def pareto_front(trials: Sequence[Trial]) -> list[Trial]:
    front: list[Trial] = []
    for trial in sorted(trials, key=lambda each: (each.gpu_s, each.violation_ratio)):
        if not front or trial.violation_ratio < front[-1].violation_ratio:
            front.append(trial)
    return front


def values_of(trial: Trial) -> Mapping[str, Any]:
    """The settings as a model's section of the configuration has them."""
    settings = trial.settings
    values: dict[str, Any] = {"autoscaling": settings.autoscaling.model_dump(exclude_none=True)}
    if settings.work_scaling is not None:
        values["work_scaling"] = settings.work_scaling.model_dump()
    return values


def chart_values(model: str, trial: Trial) -> Mapping[str, Any]:
    """An overlay for the Helm chart's values: `helm upgrade -f values.yaml -f tuned.yaml`. A null takes a
    section away that the values before it have."""
    values = values_of(trial)
    return {"models": {model: {"work_scaling": None, **values}}}


def explanation(found: Tuning, max_violation_ratio: float) -> str:
    """Why the recommendation, in words: what it costs, and what the next cheaper one would break."""
    chosen, before = found.recommended, found.baseline
    promise = f"at most {max_violation_ratio:.2%} of requests outside their budget"
    told = f"{chosen.gpu_s / 3600:.1f} GPU hours and {chosen.violation_ratio:.2%} outside their budget"
    told += f"; as it is, {before.gpu_s / 3600:.1f} and {before.violation_ratio:.2%}."
    cheaper = [trial for trial in found.front if trial.gpu_s < chosen.gpu_s]
    if not found.keeps_promise:
        return f"Nothing tried keeps the promise of {promise}. What breaks it least: {told}"
    if not cheaper:
        return f"{told} Nothing tried is cheaper: GPU time is bound by what must run, not by the promise."
    rival = cheaper[-1]
    return (
        f"{told} What binds is the promise of {promise}: the next cheaper settings need "
        f"{rival.gpu_s / 3600:.1f} GPU hours and break it with {rival.violation_ratio:.2%}."
    )


def _starts(spec: SimulatedModel) -> list[dict[str, Any]]:
    """To begin with: up at once, down soon, the last replica late, with spares and without."""
    common = {
        "min_replicas": 0,
        "look_back_period_s": _METRICS_INTERVAL_S + 1,
        "upscale_delay_s": 0.0,
        "downscale_to_zero_delay_s": 3600.0,
    }
    image_s = max(spec.request_work_s(), 0.1)
    most = min(3, spec.autoscaling.max_replicas)
    by_work = [
        {
            **common,
            "policy": "work",
            "downscale_delay_s": down_s,
            "target_work_s": min(images * image_s, 120.0),
            "warm_spares": min(spares, most),
            "spare_idle_s": idle_s,
            "lead_s": 0.0,
            "smoothing_s": 30.0,
        }
        for images, spares, idle_s, down_s in (
            (3, 1, 300.0, 120.0),
            (3, 1, 600.0, 60.0),
            (3, 2, 300.0, 60.0),
            (5, 1, 600.0, 60.0),
            (5, 2, 600.0, 60.0),
        )
    ]
    held = max(0.5, spec.max_ongoing_requests / 2)
    by_requests = {**common, "policy": "requests", "target_ongoing_requests": held}
    return [*by_work, *({**by_requests, "downscale_delay_s": down_s} for down_s in (60.0, 120.0))]


def _suggested(trial: "optuna.Trial", spec: SimulatedModel) -> Settings:
    most = spec.autoscaling.max_replicas
    common: dict[str, Any] = {
        "min_replicas": trial.suggest_int("min_replicas", 0, min(2, most)),
        "max_replicas": most,
        "look_back_period_s": trial.suggest_float("look_back_period_s", _METRICS_INTERVAL_S + 1, 60),
        "upscale_delay_s": trial.suggest_float("upscale_delay_s", 0, 60),
        "downscale_delay_s": trial.suggest_float("downscale_delay_s", 15, 900, log=True),
        # The last replica's own: whoever comes after it has gone waits for a cold start.
        "downscale_to_zero_delay_s": trial.suggest_float("downscale_to_zero_delay_s", 60, 14_400, log=True),
    }
    if trial.suggest_categorical("policy", ["requests", "work"]) == "requests":
        target = trial.suggest_float("target_ongoing_requests", 0.5, spec.max_ongoing_requests, log=True)
        return Settings(Autoscaling(**common, target_ongoing_requests=target))
    work = WorkScaling(
        target_work_s=trial.suggest_float("target_work_s", 0.5, 120, log=True),
        warm_spares=trial.suggest_int("warm_spares", 0, min(3, most)),
        spare_idle_s=trial.suggest_float("spare_idle_s", 30, 7200, log=True),
        lead_s=trial.suggest_float("lead_s", 0, 2 * max(spec.cold_start_s, 1.0)),
        smoothing_s=trial.suggest_float("smoothing_s", 10, 300, log=True),
        request_work_s=max(spec.request_work_s(), 1e-3),
    )
    return Settings(Autoscaling(**common), work)

"""What every model in the `models:` section of the config has in common.

Closed pydantic models: an unknown key is an error that names it. Each kind adds its own fields in its
own package; catalog.py joins them. Imports nothing heavy, so that a router can read specs without torch.
"""

import math
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

ModelName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,62}$")]


class ClosedModel(BaseModel):
    """Base of all configuration: unknown keys are errors, values do not change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class Autoscaling(ClosedModel):
    """Ray Serve's AutoscalingConfig, under Ray's names. Seconds for delays."""

    min_replicas: Annotated[int, Field(ge=0)] = 1
    max_replicas: Annotated[int, Field(ge=1)] = 1
    initial_replicas: Annotated[int, Field(ge=0)] | None = None
    target_ongoing_requests: Annotated[float, Field(gt=0)] = 2.0
    look_back_period_s: Annotated[float, Field(gt=0)] = 30.0
    upscale_delay_s: Annotated[float, Field(ge=0)] = 30.0
    downscale_delay_s: Annotated[float, Field(ge=0)] = 600.0
    downscale_to_zero_delay_s: Annotated[float, Field(ge=0)] | None = None
    upscaling_factor: Annotated[float, Field(gt=0)] = 1.0
    downscaling_factor: Annotated[float, Field(gt=0)] = 1.0

    @model_validator(mode="after")
    def _ordered(self) -> "Autoscaling":
        if self.min_replicas > self.max_replicas:
            raise ValueError(
                f"min_replicas {self.min_replicas} is greater than max_replicas {self.max_replicas}"
            )
        initial = self.initial_replicas
        if initial is not None and not self.min_replicas <= initial <= self.max_replicas:
            raise ValueError(
                f"initial_replicas {initial} is not between min_replicas {self.min_replicas} and "
                f"max_replicas {self.max_replicas}"
            )
        return self


class WorkScaling(ClosedModel):
    """Scaling by predicted seconds of work instead of by requests (autoscaling.py). The counts, delays and
    look-back of `autoscaling` hold as they do for Ray's own policy; its target does not.

    A replica should hold `target_work_s`. `warm_spares` more than the load needs run until there was no
    work for `spare_idle_s`. `lead_s` is how long a replica takes to start: what the load grows to by then
    is provided for, growth being measured over `smoothing_s`. `request_work_s` is what a request is taken
    to cost that waits, until replicas report it.
    """

    target_work_s: Annotated[float, Field(gt=0)] = 5.0
    warm_spares: Annotated[int, Field(ge=0)] = 0
    spare_idle_s: Annotated[float, Field(ge=0)] = 300.0
    lead_s: Annotated[float, Field(ge=0)] = 0.0
    smoothing_s: Annotated[float, Field(gt=0)] = 30.0
    request_work_s: Annotated[float, Field(gt=0)] = 1.0


def let_through(
    replicas: int, places_per_replica: int, scaling: Autoscaling, by_work: WorkScaling | None
) -> int:
    """How many requests are sent to `replicas` at once, waiting ones included; more wait at the router.

    Ray's autoscaler counts only what was sent. While more replicas may be had, enough is let through for it
    to ask for all of them; what the replicas cannot take yet waits in Ray's queue, unfairly but briefly.
    """
    places = replicas * places_per_replica
    if replicas >= scaling.max_replicas:
        return places
    target = scaling.target_ongoing_requests
    if by_work is not None:
        target = max(1.0, by_work.target_work_s / by_work.request_work_s)
    return max(places, math.ceil(target * scaling.max_replicas))


class Pricing(ClosedModel):
    """What a render costs, for receipts and planning. A request costs `usd_per_image` plus its GPU time."""

    usd_per_gpu_hour: Annotated[float, Field(ge=0)] = 0.0
    usd_per_image: Annotated[float, Field(ge=0)] = 0.0


class BaseSpec(ClosedModel):
    """Fields of every kind of model.

    `num_gpus` is the fraction of one GPU a replica is granted (0 on a CPU), or a whole number of GPUs.
    `max_ongoing_requests` is how many requests a replica works on at once; `max_queued_requests` how many
    wait at each router before new ones are refused. With `work_scaling` the model scales by predicted work.
    """

    num_gpus: Annotated[float, Field(ge=0)] = 0.0
    num_cpus: Annotated[float, Field(ge=0)] = 1.0
    memory_bytes: Annotated[int, Field(ge=0)] = 0
    accelerator_type: str | None = None
    autoscaling: Autoscaling = Autoscaling()
    work_scaling: WorkScaling | None = None
    max_ongoing_requests: Annotated[int, Field(ge=1)] = 8
    max_queued_requests: Annotated[int, Field(ge=-1)] = 64
    health_check_period_s: Annotated[float, Field(gt=0)] = 10.0
    health_check_timeout_s: Annotated[float, Field(gt=0)] = 30.0
    graceful_shutdown_timeout_s: Annotated[float, Field(ge=0)] = 60.0
    pricing: Pricing = Pricing()

    @model_validator(mode="after")
    def _gpu_fraction(self) -> "BaseSpec":
        if self.num_gpus > 1 and self.num_gpus != int(self.num_gpus):
            raise ValueError(f"num_gpus {self.num_gpus} is neither a fraction of one GPU nor a whole number")
        return self

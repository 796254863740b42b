"""Which share of the requests a request falls into: the same key always into the same.

A share is a place in [0, 1) from a hash, so that it needs no memory, agrees between router replicas, and
moves as few keys as possible when weights change.
"""

import hashlib

from routing.routes import Arm, Route
from routing.types import AssetRequest


def place(*parts: str) -> float:
    """Uniform in [0, 1) over keys; the same for the same parts on every machine."""
    hashed = hashlib.blake2b("\x00".join(parts).encode(errors="surrogatepass"), digest_size=8)
    return int.from_bytes(hashed.digest(), "big") / 2**64


def arm_of(route: Route, request: AssetRequest) -> Arm | None:
    """The arm of the route's experiment that the request falls into; None without an experiment."""
    experiment = route.spec.experiment
    if experiment is None or not route.arms:
        return None
    key = getattr(request, experiment.sticky)
    at = place("experiment", experiment.name, key if key is not None else request.prompt)
    return next((arm for arm in route.arms if at < arm.up_to), route.arms[-1])


def is_shadowed(route: Route, request: AssetRequest, now_s: float) -> bool:
    """Whether this request also runs on the route's shadow. The time is part of the key: the share is of
    requests, not of prompts."""
    spec = route.spec.shadow
    if spec is None:
        return False
    at = place("shadow", route.name, request.prompt, request.asset or "", request.tenant or "", repr(now_s))
    return at < spec.share_ratio

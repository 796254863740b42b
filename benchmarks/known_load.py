"""What the benchmarks of the router under load share: open-loop load, a bare Ray Serve app, an oracle."""

import asyncio
import base64
import heapq
import socket
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ray import serve as ray_serve
from starlette.requests import Request
from starlette.responses import JSONResponse

from deployments.bind import EAGER_ROUTING, QUIET, actor_options
from deployments.fakes import EchoSpec
from deployments.replica import ModelReplica
from deployments.telemetry import ProcessTelemetry
from deployments.types import EncodedImage, Encoding, RenderRequest
from loadtests.arrivals import constant, schedule
from loadtests.exchange import open_exchange
from loadtests.observation import Observation
from loadtests.pacing import short_collections
from loadtests.runner import Limits, run_open_loop
from loadtests.target import Target
from loadtests.workload import Shot, calls

SHOT = Shot("known", ["a cat"], size="16x16")


def arrivals_s(rate: float, count: int, seed: int) -> np.ndarray:
    """The first `count` moments of a Poisson process, in seconds."""
    return np.asarray(schedule(constant(rate, 1.5 * count / rate + 10), seed=seed))[:count]


async def offer(
    url: str, due_s: Sequence[float] | np.ndarray, headers: Mapping[str, str] | None = None
) -> list[Observation]:
    """Sends a call at each moment, whatever became of those before."""
    seen: list[Observation] = []
    async with open_exchange(Target(url), timeout_s=60, headers=headers) as exchange:
        with short_collections():
            due = list(calls(np.asarray(due_s), [SHOT]))
            await run_open_loop(due, exchange, seen.append, Limits(max_in_flight=20_000))
    return seen


def quantile_ms(seen: Sequence[Observation], q: float) -> float:
    return float(np.quantile([each.latency_ms for each in seen], q)) if seen else float("nan")


def oracle_in_time(
    due_s: Sequence[float] | np.ndarray, places: int, service_s: float, budget_s: float
) -> int:
    """How many requests of known, equal length can be done in time at all: first come, first served, and
    only those that will be. No order and no choice does better."""
    free_s = [0.0] * places
    done = 0
    for at_s in due_s:
        ends_s = max(float(at_s), free_s[0]) + service_s
        if ends_s <= at_s + budget_s:
            heapq.heapreplace(free_s, ends_s)
            done += 1
    return done


class BareIngress:
    """The least that can be called a gateway in front of the same model."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle.options(method_name="render")

    async def __call__(self, request: Request) -> JSONResponse:
        body = await request.json()
        width, height = (int(side) for side in body["size"].split("x"))
        render = RenderRequest("bare", body["prompt"], width, height, 1, encoding=Encoding())
        result = await self._handle.remote(render)
        assert isinstance(result.image, EncodedImage)
        return JSONResponse({"data": [{"b64_json": base64.b64encode(result.image.data).decode()}]})


def start_bare_app(name: str, fields: Mapping[str, Any], max_queued_requests: int) -> None:
    """The model behind an ingress under /`name`, with Ray Serve's own bound on its queue."""
    spec = EchoSpec.model_validate(fields)
    model = ray_serve.deployment(
        name=f"{name}-model",
        ray_actor_options=actor_options(spec),
        max_ongoing_requests=spec.max_ongoing_requests,
        max_queued_requests=max_queued_requests,
        request_router_config=EAGER_ROUTING,
        logging_config=QUIET,
    )(ModelReplica)
    ingress = ray_serve.deployment(
        name=name,
        ray_actor_options={"num_cpus": 0.1},
        max_ongoing_requests=4096,
        request_router_config=EAGER_ROUTING,
        logging_config=QUIET,
    )(BareIngress)
    app = ingress.bind(model.bind(f"{name}-model", spec, ProcessTelemetry()))
    ray_serve.run(app, name=name, route_prefix=f"/{name}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


async def together(*work: Any) -> list[Any]:
    return list(await asyncio.gather(*work))

"""The Router deployment: the ingress that turns HTTP requests into model calls.

A plain class; app.py makes it a deployment.
"""

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from ray import serve as ray_serve
from ray.serve.handle import DeploymentHandle

from deployments.client import RayModelClient
from deployments.telemetry import ProcessTelemetry, configure_process
from routing.feedback import FeedbackBook, Verdict
from serve.config import AppConfig
from serve.gateway import Gateway
from serve.metrics import RayObserver
from serve.peers import RouterState


class Router:
    """Holds the gateway. `handles` are of the model deployments, by model name."""

    def __init__(
        self, config: AppConfig, handles: "dict[str, DeploymentHandle[Any]]", process: ProcessTelemetry
    ) -> None:
        configure_process(process, component="router")
        clients = {name: RayModelClient(name, handle) for name, handle in handles.items()}
        several = config.router.autoscaling.max_replicas > 1
        self._all_routers: DeploymentHandle[Any] | None = None
        self._gateway = Gateway(config, clients, RayObserver(), self._ask_all if several else None)

    def __serve_build_asgi_app__(self) -> FastAPI:
        """Called by Ray Serve for the application it hosts."""
        return self._gateway.app

    # What the other routers call, see serve/peers.py.

    def state(self) -> RouterState:
        return self._gateway.peers.state()

    def judge(self, receipt_id: str, verdict: Verdict, minutes: float) -> bool:
        return self._gateway.peers.judge(receipt_id, verdict, minutes)

    def judged(self) -> FeedbackBook:
        return self._gateway.peers.judged()

    async def _ask_all(self, method: str, *arguments: Any) -> Sequence[Any]:
        if self._all_routers is None:
            here = ray_serve.get_replica_context()
            self._all_routers = ray_serve.get_deployment_handle(here.deployment, here.app_name)
        answers = await self._all_routers.broadcast(method, *arguments).results_async()
        return [answer for answer in answers if not isinstance(answer, BaseException)]

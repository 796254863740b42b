"""The Router deployment: the ingress that turns HTTP requests into model calls.

A plain class; app.py makes it a deployment.
"""

from typing import Any

from fastapi import FastAPI
from ray.serve.handle import DeploymentHandle

from deployments.client import RayModelClient
from deployments.telemetry import ProcessTelemetry, configure_process
from serve.config import AppConfig
from serve.gateway import Gateway
from serve.metrics import RayObserver


class Router:
    """Holds the gateway. `handles` are of the model deployments, by model name."""

    def __init__(
        self, config: AppConfig, handles: "dict[str, DeploymentHandle[Any]]", process: ProcessTelemetry
    ) -> None:
        configure_process(process, component="router")
        clients = {name: RayModelClient(name, handle) for name, handle in handles.items()}
        self._gateway = Gateway(config, clients, RayObserver())

    def __serve_build_asgi_app__(self) -> FastAPI:
        """Called by Ray Serve for the application it hosts."""
        return self._gateway.app

"""The application on a Ray of its own on this machine: started, waited for, stopped."""

import logging
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.live import Live
from rich.table import Table

from deployments.starting import brief_reason
from serve import proxies
from serve.cli.address import Address
from serve.config import AppConfig
from serve.proxies import Proxy

APPLICATION = "atelier"


@contextmanager
def serving(
    config: AppConfig,
    host: str,
    port: int,
    console: Console,
    ready_timeout_s: float = 300.0,
    stop: threading.Event | None = None,
    proxy: Proxy = Proxy.PYTHON,
) -> Iterator[None]:
    """Ray and the application, from start to stop; the body runs once it is ready, or when `stop` is set.

    Raises ClickException with the reason when the application cannot start.
    """
    with console.status("starting Ray ..."), proxies.chosen(proxy):
        import ray
        from ray import serve as ray_serve
        from ray.serve.api import RunTarget
        from ray.serve.config import HTTPOptions
        from ray.serve.schema import LoggingConfig

        from serve.app import build_app

        logging.getLogger("ray.serve").setLevel(logging.ERROR)
        ray.init(
            address="local", include_dashboard=False, log_to_driver=False, logging_level="ERROR", num_cpus=4
        )
    try:
        ray_serve.start(
            http_options=HTTPOptions(host=host, port=port),
            logging_config=LoggingConfig(log_level="ERROR", enable_access_log=False),
        )
        target = RunTarget(build_app(config), name=APPLICATION, route_prefix="/")
        ray_serve.run_many([target], wait_for_applications_running=False)
        _wait_until_ready(Address(host, port).url, console, ready_timeout_s, stop or threading.Event())
        yield
    finally:
        ray.shutdown()


def metrics_url() -> str:
    """Where this machine's Ray exports metrics for Prometheus."""
    import ray

    return f"http://127.0.0.1:{ray.nodes()[0]['MetricsExportPort']}/metrics"


def _wait_until_ready(url: str, console: Console, timeout_s: float, stop: threading.Event) -> None:
    """Shows each deployment's state until /readyz says ready. Raises ClickException with the reason of a
    deployment that cannot start."""
    from ray import serve as ray_serve

    give_up = time.monotonic() + timeout_s
    with Live(console=console, transient=True) as live:
        while not stop.wait(0.5):
            application = ray_serve.status().applications.get(APPLICATION)
            if application is not None:
                live.update(_table(application.deployments))
                if application.status in ("DEPLOY_FAILED", "UNHEALTHY"):
                    raise click.ClickException(_why(application))
            if _is_ready(url):
                return
            if time.monotonic() > give_up:
                raise click.ClickException(
                    f"not ready after {timeout_s:.0f} s; see the logs in {_log_folder()}"
                )


def _table(deployments: Mapping[str, Any]) -> Table:
    table = Table("deployment", "state", "replicas", box=None)
    for name, deployment in sorted(deployments.items()):
        running = sum(count for state, count in deployment.replica_states.items() if state == "RUNNING")
        state = "ready" if deployment.status == "HEALTHY" else "starting"
        table.add_row(name, f"[green]{state}[/]" if state == "ready" else state, str(running))
    return table


def _why(application: Any) -> str:
    messages = [
        f"{name}: {brief_reason(deployment.message)}"
        for name, deployment in application.deployments.items()
        if deployment.status in ("DEPLOY_FAILED", "UNHEALTHY") and deployment.message
    ]
    return "the application could not start: " + ("\n".join(messages) or application.message)


def _log_folder() -> str:
    return str(Path(tempfile.gettempdir()) / "ray" / "session_latest" / "logs" / "serve")


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=2) as response:
            return bool(response.status == 200)
    except OSError:
        return False

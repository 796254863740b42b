"""`atelier up`: the whole application on this machine, until Ctrl-C."""

import logging
import shutil
import signal
import socket
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import click
from rich.console import Console
from rich.live import Live
from rich.table import Table

from routing.policy import PolicyError
from serve.cli.demo import render_demo, usage_lines
from serve.config import AppConfig, ConfigError, load_config
from serve.policy_source import open_store
from serve.settings import SettingsError, read_settings

MIN_FREE_BYTES = 1 << 30
APPLICATION = "atelier"

console = Console(highlight=False)


@click.command()
@click.option(
    "--config", "config_path", type=click.Path(dir_okay=False), help="The application's config file."
)
@click.option("--host", help="Address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on.  [default: 8000]")
@click.option(
    "--demo", type=click.Path(file_okay=False, path_type=Path), help="Render samples into this folder."
)
@click.option("--exit-after-demo", is_flag=True, help="Stop when the samples are rendered.")
@click.option(
    "--ready-timeout-s", default=300.0, show_default=True, help="How long models may take to start."
)
def up(
    config_path: str | None,
    host: str | None,
    port: int | None,
    demo: Path | None,
    exit_after_demo: bool,
    ready_timeout_s: float,
) -> None:
    """Start Ray Serve here, wait until every model is ready, and serve until Ctrl-C."""
    try:
        settings = read_settings()
        config_path = config_path or settings.config
        if config_path is None:
            raise click.ClickException("no config: give --config FILE or set ATELIER_CONFIG")
        config = load_config(config_path)
        open_store(config)
    except (ConfigError, PolicyError, SettingsError) as error:
        raise click.ClickException(str(error)) from None
    host = host or settings.host or "127.0.0.1"
    port = port or settings.port or 8000
    _check_port(host, port)
    _check_disk()
    with _stop_on_signal() as stop, _serving(config, host, port, ready_timeout_s, stop):
        url = f"http://{host}:{port}"
        if demo is not None and not stop.is_set():
            render_demo(url, demo, console)
        if not exit_after_demo and not stop.is_set():
            console.print(f"\n[bold green]Atelier serves at {url}[/]  (Ctrl-C stops it)\n")
            for line in usage_lines(url):
                console.print(line, soft_wrap=True, markup=False)
            stop.wait()
        console.print("stopping ...")
    console.print("stopped")


@contextmanager
def _stop_on_signal() -> Iterator[threading.Event]:
    """An event that SIGINT and SIGTERM set. A second Ctrl-C interrupts at once."""
    stop = threading.Event()

    def handle(signum: int, frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    previous = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def _serving(
    config: AppConfig, host: str, port: int, ready_timeout_s: float, stop: threading.Event
) -> Iterator[None]:
    """Ray and the application, from start to stop."""
    with console.status("starting Ray ..."):
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
        _wait_until_ready(f"http://{host}:{port}", ready_timeout_s, stop)
        yield
    finally:
        ray.shutdown()


def _wait_until_ready(url: str, timeout_s: float, stop: threading.Event) -> None:
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
        f"{name}: {deployment.message}"
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


def _check_port(host: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise click.ClickException(
                f"cannot listen on {host}:{port} ({error.strerror}): stop what uses it, or choose another "
                f"port with --port (make up PORT=8001)"
            ) from None


def _check_disk() -> None:
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    if free < MIN_FREE_BYTES:
        raise click.ClickException(
            f"{folder} has {free / 1e6:.0f} MB free; Ray needs 1 GB there: make room, or set TMPDIR"
        )

"""`atelier up`: the whole application on this machine, until Ctrl-C."""

import shutil
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import click
from rich.console import Console

from routing.policy import PolicyError
from serve.cli.address import Address, address_of
from serve.cli.demo import render_demo, usage_lines
from serve.cli.local import metrics_url, serving
from serve.config import ConfigError, load_config
from serve.policy_source import open_store, raster_shelf
from serve.proxies import NoHAProxy, Proxy, check
from serve.settings import SettingsError, read_settings

MIN_FREE_BYTES = 1 << 30

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
@click.option("--allow-anonymous", is_flag=True, help="Listen beyond this machine without API keys.")
@click.option("--exit-after-demo", is_flag=True, help="Stop when the samples are rendered.")
@click.option(
    "--proxy",
    type=click.Choice([proxy.value for proxy in Proxy]),
    default=Proxy.PYTHON.value,
    show_default=True,
    help="Ray Serve's HTTP proxy. HAProxy refuses faster under overload (Linux).",
)
@click.option(
    "--ready-timeout-s", default=300.0, show_default=True, help="How long models may take to start."
)
def up(
    config_path: str | None,
    host: str | None,
    port: int | None,
    demo: Path | None,
    exit_after_demo: bool,
    allow_anonymous: bool,
    proxy: str,
    ready_timeout_s: float,
) -> None:
    """Start Ray Serve here, wait until every model is ready, and serve until Ctrl-C."""
    try:
        settings = read_settings()
        config_path = config_path or settings.config
        if config_path is None:
            raise click.ClickException("no config: give --config FILE or set ATELIER_CONFIG")
        config = load_config(config_path)
        open_store(config, raster_shelf(config))
        check(Proxy(proxy))
    except (ConfigError, PolicyError, SettingsError, NoHAProxy) as error:
        raise click.ClickException(str(error)) from None
    address = address_of(host or settings.host or "127.0.0.1", port or settings.port or 8000)
    _check_exposure(address, config.auth.keys_file or settings.api_keys_file, allow_anonymous)
    _check_port(address)
    _check_disk()
    url = address.url
    with (
        _stop_on_signal() as stop,
        serving(config, address.host, address.port, console, ready_timeout_s, stop, Proxy(proxy)),
    ):
        if demo is not None and not stop.is_set():
            render_demo(url, demo, console)
        if not exit_after_demo and not stop.is_set():
            console.print(f"\n[bold green]Atelier serves at {url}[/]  (Ctrl-C stops it)\n")
            for line in usage_lines(url, metrics_url()):
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


def _check_exposure(address: Address, keys_file: str | None, allow_anonymous: bool) -> None:
    """Without keys anybody who reaches the port may use the GPUs."""
    if not address.is_loopback and keys_file is None and not allow_anonymous:
        raise click.ClickException(
            f"{address.host} can be reached by others and no API keys are set: set ATELIER_API_KEYS_FILE "
            "(make a key with `atelier key TENANT`), or say --allow-anonymous"
        )


def _check_port(address: Address) -> None:
    with socket.socket(socket.AF_INET6 if address.is_ipv6 else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address.host, address.port))
        except OSError as error:
            raise click.ClickException(
                f"cannot listen on {address} ({error.strerror}): stop what uses it, or choose another "
                f"port with --port (make up PORT=8001)"
            ) from None


def _check_disk() -> None:
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    if free < MIN_FREE_BYTES:
        raise click.ClickException(
            f"{folder} has {free / 1e6:.0f} MB free; Ray needs 1 GB there: make room, or set TMPDIR"
        )

"""What is said while Ray starts. That the application really starts and stops: tests/serve/test_on_ray.py."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import click
import pytest
from ray import serve as ray_serve
from rich.console import Console

from serve.cli import local

QUIET = Console(quiet=True)


@contextmanager
def answering(*statuses: int) -> Iterator[str]:
    """A server on loopback that answers /readyz with these statuses in turn, the last one from then on."""
    left = list(statuses)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = self.path == "/readyz"
            self.send_response((left.pop(0) if len(left) > 1 else left[0]) if found else 404)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            return None

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def deployment(status: str, message: str = "", **replicas: int) -> SimpleNamespace:
    return SimpleNamespace(status=status, message=message, replica_states=replicas)


class Impatient(threading.Event):
    """Waits for nothing."""

    def wait(self, timeout: float | None = None) -> bool:
        return self.is_set()


@pytest.fixture
def application(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """What Ray Serve says of the application."""
    state = SimpleNamespace(status="DEPLOYING", message="", deployments={})
    known = SimpleNamespace(applications={local.APPLICATION: state})
    monkeypatch.setattr(ray_serve, "status", lambda: known)
    return state


@pytest.mark.parametrize(("status", "ready"), [(200, True), (503, False), (404, False)])
def test_ready_is_what_readyz_says(status: int, ready: bool) -> None:
    with answering(status) as url:
        assert local._is_ready(url) is ready
    assert local._is_ready(url) is False  # nobody listens there any more


def test_it_waits_until_ready(application: SimpleNamespace) -> None:
    with answering(503, 503, 200) as url:
        local._wait_until_ready(url, QUIET, 60, Impatient())
        assert local._is_ready(url)


def test_a_deployment_that_cannot_start_gives_its_reason(application: SimpleNamespace) -> None:
    application.status = "DEPLOY_FAILED"
    application.deployments = {
        "painter": deployment("DEPLOY_FAILED", "failed. Error:\n  pid=7\nx.CannotStart: no weights\n"),
        "setter": deployment("HEALTHY", "fine"),
    }
    with answering(503) as url, pytest.raises(click.ClickException) as caught:
        local._wait_until_ready(url, QUIET, 60, Impatient())
    assert caught.value.message == "the application could not start: painter: no weights"


def test_a_failure_of_the_whole_application_gives_its_own_reason(application: SimpleNamespace) -> None:
    application.status, application.message = "UNHEALTHY", "no resources"
    with answering(503) as url, pytest.raises(click.ClickException, match="could not start: no resources"):
        local._wait_until_ready(url, QUIET, 60, Impatient())


def test_what_takes_too_long_names_the_logs(application: SimpleNamespace) -> None:
    with answering(503) as url, pytest.raises(click.ClickException, match=r"not ready after 0 s.*logs"):
        local._wait_until_ready(url, QUIET, 0, Impatient())


def test_being_stopped_is_no_error(application: SimpleNamespace) -> None:
    stopped = Impatient()
    stopped.set()
    application.status = "DEPLOY_FAILED"
    local._wait_until_ready("http://127.0.0.1:1", QUIET, 60, stopped)


def test_the_table_counts_running_replicas() -> None:
    table = local._table(
        {
            "setter": deployment("UPDATING", STARTING=1),
            "painter": deployment("HEALTHY", RUNNING=2, STARTING=1),
        }
    )
    cells = [list(column.cells) for column in table.columns]
    assert cells == [["painter", "setter"], ["[green]ready[/]", "starting"], ["2", "0"]]

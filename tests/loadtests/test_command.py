"""The command against a small server in a thread of its own."""

import asyncio
import json
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from aiohttp import web
from click.testing import CliRunner

from loadtests.session import run_session
from serve.cli.loadtest import loadtest, loadtest_report
from tests.loadtests.server import Handler, error, images_endpoint, success


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Every fourth request is refused. Does not tell of its replicas."""
    with served() as base_url:
        yield base_url


@pytest.fixture(scope="module")
def telling_url() -> Iterator[str]:
    """Tells that it has two replicas of the typesetter."""

    async def fleet(request: web.Request) -> web.StreamResponse:
        return web.json_response({"models": {"typesetter": {"replicas": 2}}})

    with served(fleet) as base_url:
        yield base_url


@contextmanager
def served(fleet: Handler | None = None) -> Iterator[str]:
    count = 0

    async def handler(request: web.Request) -> web.StreamResponse:
        nonlocal count
        await request.read()
        count += 1
        if count % 4 == 0:
            return web.json_response(error("refused_capacity"), status=429)
        return web.json_response(success(budget_ms=60_000.0))  # met however busy the machine is

    started, stop = threading.Event(), asyncio.Event()
    found: list[str] = []
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        async with images_endpoint(handler, fleet) as base_url:
            found.append(base_url)
            started.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert started.wait(10)
    yield found[0]
    loop.call_soon_threadsafe(stop.set)
    thread.join(10)
    loop.close()


def invoke(*arguments: str):
    return CliRunner().invoke(loadtest, arguments)


def test_a_run_prints_and_writes_what_happened(url, tmp_path):
    path = tmp_path / "run.json"
    result = invoke(url, "--rate", "80", "--duration", "0.5", "--spacing", "even", "--json", str(path))
    assert result.exit_code == 0, result.output
    assert "ok 30, refused_capacity 10" in result.output
    summary = json.loads(path.read_text())
    assert summary["total"]["offered"] == 40
    assert summary["total"]["outcomes"] == {"ok": 30, "refused_capacity": 10}
    assert summary["total"]["goodput_ratio"] == 0.75
    assert summary["by_route"]["badges"]["models"] == {"typesetter": 30}


def test_replicas_over_time_are_asked_beside_the_load(telling_url, tmp_path):
    path, page = tmp_path / "run.json", tmp_path / "run.html"
    options = ("--rate", "40", "--duration", "0.3", "--spacing", "even")
    assert invoke(telling_url, *options, "--json", str(path), "--html", str(page)).exit_code == 0
    summary = json.loads(path.read_text())
    assert [count for _, count in summary["replicas"]["typesetter"]] == [2]
    assert summary["total"]["offered"] == 12
    assert "Replicas over time</figcaption>" in page.read_text()


def test_a_service_that_does_not_tell_of_its_replicas_is_loaded_all_the_same(url, tmp_path):
    path, page = tmp_path / "run.json", tmp_path / "run.html"
    options = ("--rate", "40", "--duration", "0.1", "--spacing", "even")
    assert invoke(url, *options, "--json", str(path), "--html", str(page)).exit_code == 0
    assert json.loads(path.read_text())["replicas_missing"] == "GET /v1/fleet told nothing: HTTP 404"
    assert "Replicas over time are not known" in page.read_text()


def test_a_missed_objective_is_the_exit_status(url):
    options = ("--rate", "40", "--duration", "0.2", "--spacing", "even")
    met = invoke(url, *options, "--slo", "max_ms<=100000")
    missed = invoke(url, *options, "--slo", "max_ms<=100000", "--slo", "error_ratio<=0.01")
    assert (met.exit_code, missed.exit_code) == (0, 1)
    assert "missed  error_ratio<=0.01" in missed.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("http://192.0.2.1",), "--allow-remote"),
        (("http://127.0.0.1:1", "--rate", "1000", "--duration", "1000"), "max_requests"),
        (("http://127.0.0.1:1", "--size", "big"), "size: "),
        (("http://127.0.0.1:1", "--clients", "2", "--rate", "2"), "exactly one of"),
        (("http://127.0.0.1:1", "--slo", "p42<=1"), "unknown metric p42"),
        (("http://127.0.0.1:1", "--duration", "0"), "duration_s: "),
    ],
)
def test_a_wrong_command_line_is_told_before_anything_is_sent(arguments, message):
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert message in result.output


SCENARIO = """
name: two kinds
spacing: even
arrivals:
  - {kind: constant, rps: 40, duration_s: 0.5}
shots:
  - {name: badge, prompts: [NEW], size: 8x8, seeds: [1]}
  - {name: poster, prompts: [a lighthouse], weight: 0.5}
objectives: ["error_ratio<=0.5"]
"""


def test_a_scenario_in_two_processes_is_the_same_run_as_in_one(url, tmp_path):
    scenario = tmp_path / "scenario.yaml"
    scenario.write_text(SCENARIO)
    path, page = tmp_path / "run.json", tmp_path / "run.html"
    result = invoke(
        url, "--scenario", str(scenario), "--processes", "2", "--json", str(path), "--html", str(page)
    )
    assert result.exit_code == 0, result.output
    summary = json.loads(path.read_text())
    assert summary["total"]["offered"] == 20
    assert set(summary["by_shot"]) == {"badge", "poster"}
    assert summary["run"]["processes"] == 2
    assert summary["images"] == {
        "checked": summary["total"]["ok"],
        "undecodable": 0,
        "wrong_size": 0,
        "unequal": 0,
        "skipped": 0,
    }
    assert "two kinds" in page.read_text()


def test_a_scenario_leaves_no_room_for_load_options(url, tmp_path):
    scenario = tmp_path / "scenario.yaml"
    scenario.write_text(SCENARIO)
    result = invoke(url, "--scenario", str(scenario), "--rate", "3")
    assert result.exit_code == 2
    assert "leave out --rate" in result.output


def test_a_saved_run_is_reported_beside_an_earlier_one(url, tmp_path):
    runs = [tmp_path / "first.json", tmp_path / "second.json"]
    for path in runs:
        invoke(url, "--rate", "40", "--duration", "0.2", "--spacing", "even", "--json", str(path))
    page = tmp_path / "report.html"
    result = CliRunner().invoke(loadtest_report, [str(runs[1]), str(page), "--compare-to", str(runs[0])])
    assert result.exit_code == 0, result.output
    assert "baseline" in page.read_text()


@pytest.mark.parametrize("text", ["no json", "{}", "[]"])
def test_what_is_no_saved_run_is_refused(text, tmp_path):
    path = tmp_path / "run.json"
    path.write_text(text)
    result = CliRunner().invoke(loadtest_report, [str(path), str(tmp_path / "x.html")])
    assert result.exit_code == 2
    assert "run.json" in result.output


@pytest.fixture
def listening_to_ctrl_c():
    """A test that a shell runs in the background inherits that it is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("processes", ["1", "2"])
def test_what_was_counted_before_ctrl_c_is_not_lost(
    url, tmp_path, monkeypatch, listening_to_ctrl_c, processes
):
    path = tmp_path / "run.json"

    def interrupted_session(scenario, target, *, headers, progress):
        sent = []

        def progress_until(counted, elapsed_s):
            if counted.offered >= 20 and not sent:
                sent.append(True)
                signal.raise_signal(signal.SIGINT)

        return run_session(scenario, target, headers=headers, progress=progress_until)

    monkeypatch.setattr("serve.cli.loadtest.run_session", interrupted_session)
    load = ("--rate", "40", "--duration", "60", "--spacing", "even", "--processes", processes)
    result = invoke(url, *load, "--json", str(path))
    assert result.exit_code == 130, result.output
    summary = json.loads(path.read_text())
    assert 20 <= summary["total"]["offered"] < 400
    assert summary["total"]["outcomes"]["ok"] >= 10
    assert summary["run"]["schedule_s"] < 30

"""The environment that chooses a proxy, and that nothing of it stays behind."""

import os
import subprocess

import pytest

from serve import proxies
from serve.proxies import NoHAProxy, Proxy

ENABLED, PORT = "RAY_SERVE_ENABLE_HA_PROXY", "RAY_SERVE_HAPROXY_STATS_PORT"


def test_the_choice_holds_inside_and_what_was_there_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENABLED, "0")
    monkeypatch.setenv(PORT, "8404")
    before = dict(os.environ)
    with proxies.chosen(Proxy.HAPROXY):
        assert (os.environ[ENABLED], os.environ[PORT]) == ("1", "8404")
        assert os.environ["RAY_SERVE_HAPROXY_METRICS_PORT"].isdigit()
        assert os.environ["RAY_SERVE_HAPROXY_BINARY_PATH"].endswith("bin/atelier-haproxy")
    assert os.environ == before


def test_python_leaves_the_environment_alone() -> None:
    before = dict(os.environ)
    with proxies.chosen(Proxy.PYTHON):
        assert os.environ == before


def test_the_command_is_haproxy_even_where_ray_is_told_to_start_the_command() -> None:
    try:
        proxies.check(Proxy.HAPROXY)
    except NoHAProxy as error:
        pytest.skip(str(error))
    wanted = proxies.environment(Proxy.HAPROXY)
    command = wanted["RAY_SERVE_HAPROXY_BINARY_PATH"]
    told = subprocess.run([command, "-v"], env={**os.environ, **wanted}, capture_output=True, text=True)
    assert told.stdout.startswith("HAProxy version 2.8")

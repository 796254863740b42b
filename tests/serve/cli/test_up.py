import shutil
import socket
from collections import namedtuple
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from serve.cli.up import up
from tests.serve.gateways import SEED_POLICY


@pytest.fixture
def config(tmp_path: Path) -> str:
    (tmp_path / "policy.yaml").write_text(SEED_POLICY)
    (tmp_path / "app.yaml").write_text(
        "models: {typography_focused: {kind: echo}, creative_highfidelity: {kind: echo}}\n"
        "policy: {path: ./policy.yaml}\n"
    )
    return str(tmp_path / "app.yaml")


def refused(*arguments: str) -> Result:
    """Each of these ends before Ray starts."""
    result = CliRunner().invoke(up, list(arguments))
    assert result.exit_code == 1
    assert "Traceback" not in result.output
    return result


def test_a_port_in_use_is_one_line_that_says_what_to_do(config: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        output = refused("--config", config, "--port", port).output
    assert f"cannot listen on 127.0.0.1:{port}" in output
    assert "--port" in output


def test_no_config_and_a_missing_one() -> None:
    assert "give --config FILE" in refused().output
    assert "cannot be read" in refused("--config", "none.yaml").output


def test_a_broken_policy_is_located(config: str, tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text("model_routing:\n  - pattern: '('\n    model: typography_focused\n")
    assert "policy.yaml:2:" in refused("--config", config).output


def test_beyond_this_machine_only_with_keys(config: str) -> None:
    assert "no API keys are set" in refused("--config", config, "--host", "0.0.0.0").output


def has_ipv6_loopback() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6_loopback(), reason="this machine has no IPv6 loopback")


@needs_ipv6
def test_a_port_in_use_on_the_ipv6_loopback(config: str) -> None:
    with socket.socket(socket.AF_INET6) as taken:
        taken.bind(("::1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        for host in ("::1", "[::1]"):
            output = refused("--config", config, "--host", host, "--port", port).output
            assert f"cannot listen on [::1]:{port}" in output


@needs_ipv6
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_it_serves_on_the_ipv6_loopback(config: str, tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        port = probe.getsockname()[1]
    (tmp_path / "policy.yaml").write_text("default: {model: typography_focused}\n")
    arguments = ["--host", "::1", "--port", str(port), "--demo", str(tmp_path / "demo"), "--exit-after-demo"]
    result = CliRunner().invoke(up, ["--config", config, *arguments])
    assert result.exit_code == 0, result.output
    assert {path.name for path in (tmp_path / "demo").iterdir()} == {
        "badge.png",
        "poster.png",
        "poster-2x.png",
    }


def test_haproxy_that_cannot_be_started(config: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    output = refused("--config", config, "--proxy", "haproxy").output
    assert "/nowhere/atelier-haproxy is missing" in output
    assert "choose the proxy `python`" in output


def test_a_full_disk(config: str, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10, 10, 1_000_000))
    assert "1 MB free" in refused("--config", config, "--port", "65123").output


def test_an_unknown_setting(config: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATELIER_PROT", "1")
    assert "ATELIER_PROT is not a setting" in refused("--config", config).output

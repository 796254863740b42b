"""The chart on the real application: the rendered serveConfigV2 is deployed to a local Ray by `serve deploy`.

Only what belongs to a pod is changed: the folder of the policy, and the port.
"""

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from deployments import telemetry as replica_telemetry
from serve import telemetry
from tests.helm.rendering import CHART, REPOSITORY, Object, one, render
from tests.helm.test_monitoring import EXPRESSIONS, exported

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

TOKEN = "a-token-of-this-test"
SMALL: Object = {"num_cpus": 0.2, "graceful_shutdown_timeout_s": 1}
VALUES: Object = {
    "models": {
        "typography_focused": {"kind": "typesetter", **SMALL},
        "upscale_2x": {
            "kind": "upscaler",
            "pricing": {"usd_per_image": 0.001},
            "autoscaling": {"max_replicas": 2},
            **SMALL,
        },
        "greedy": {"kind": "echo", "fails_with": "torch_out_of_memory", **SMALL},
    },
    "app": {"router": {"num_cpus": 0.2, "graceful_shutdown_timeout_s": 1}},
    "policy": {
        "document": {
            "model_routing": [
                {"pattern": "large", "stages": ["typography_focused", "upscale_2x"]},
                {"pattern": "greedy", "model": "greedy", "fallback": ["typography_focused"]},
            ],
            "default": {
                "model": "typography_focused",
                "max_latency_ms": 30000,
                "shadow": {"stages": ["typography_focused", "upscale_2x"], "share_ratio": 1},
            },
        },
        "reloadIntervalSeconds": 0.2,
    },
}
# Of engines that denoise step by step: no model of this test does.
OF_STEPS = {
    f"ray_{name}"
    for name in vars(replica_telemetry).values()
    if isinstance(name, str) and name.startswith(("atelier_step", "atelier_batch"))
}
# Of policies with shadow renders: that of this test has none.
OF_SHADOWS = {"ray_atelier_shadow_duration_ms_bucket"}
# Of GPUs, which this machine may lack.
NOT_ON_A_CPU = {
    "ray_atelier_gpu_seconds_total",
    "ray_node_gpus_utilization",
    "ray_node_gram_available",
    "ray_node_gram_used",
}


@dataclass(frozen=True, slots=True)
class Live:
    url: str
    metrics_url: str
    policy: Path


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("live")
    port, dashboard_port, metrics_port = _free_port(), _free_port(), _free_port()
    environ = {
        **os.environ,
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": TOKEN,
        "RAY_USAGE_STATS_ENABLED": "0",
        "PYTHONPATH": str(REPOSITORY),
    }
    objects = render(VALUES)
    policy = folder / "policy.yaml"
    policy.write_text(one(objects, "ConfigMap", "atelier-policy")["data"]["policy.yaml"])
    config = folder / "serve.yaml"
    config.write_text(_for_this_machine(one(objects, "RayService"), folder, port))
    arguments = [sys.executable, "-m", "tests.helm.local_ray", str(dashboard_port), str(metrics_port)]
    with subprocess.Popen(
        arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=REPOSITORY, env=environ, text=True
    ) as ray:
        try:
            assert ray.stdout is not None
            assert json.loads(ray.stdout.readline())["ready"]
            deploy = [str(Path(sys.executable).with_name("serve")), "deploy", str(config)]
            address = f"http://127.0.0.1:{dashboard_port}"
            done = subprocess.run(
                [*deploy, "--address", address], env=environ, cwd=folder, capture_output=True, text=True
            )
            assert done.returncode == 0, done.stdout + done.stderr
            yield Live(f"http://127.0.0.1:{port}", f"http://127.0.0.1:{metrics_port}/metrics", policy)
        finally:
            assert ray.stdin is not None
            ray.stdin.close()
            ray.wait(timeout=60)


def _for_this_machine(service: Object, folder: Path, port: int) -> str:
    text: str = service["spec"]["serveConfigV2"].replace("/etc/atelier/policy", str(folder))
    document = yaml.safe_load(text)
    document["http_options"] |= {"host": "127.0.0.1", "port": port}
    return yaml.safe_dump(document)


def _release_test(live: Live, prompt: str) -> Object:
    """Runs the program of `helm test` and returns the receipt that it prints."""
    program = CHART / "files" / "render_image.py"
    done = subprocess.run(
        [sys.executable, str(program), live.url, prompt, "320x160", "180"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    receipt: Object = json.loads(done.stdout.split("receipt: ", 1)[1])
    return receipt


def test_rendered_config_serves_an_image(live: Live) -> None:
    receipt = _release_test(live, 'a badge that says "SALE"')
    assert receipt["outcome"] == "ok"
    assert receipt["model"] == "typography_focused"
    assert receipt["budget_ms"] == 30000


def test_substitution_reaches_the_receipt(live: Live) -> None:
    receipt = _release_test(live, 'a greedy badge that says "NEW"')
    assert receipt["substituted"] is True


def test_chain_of_stages(live: Live) -> None:
    receipt = _release_test(live, 'a large badge that says "NEW"')
    assert receipt["cost_usd"] == pytest.approx(0.001)


def test_policy_changes_without_a_restart(live: Live) -> None:
    before = _release_test(live, 'a badge that says "SALE"')["policy_version"]
    document = yaml.safe_load(live.policy.read_text())
    document["default"]["max_latency_ms"] = 25000
    live.policy.write_text(yaml.safe_dump(document))
    deadline_s = time.monotonic() + 60
    receipt = _release_test(live, 'a badge that says "SALE"')
    while receipt["policy_version"] == before and time.monotonic() < deadline_s:
        receipt = _release_test(live, 'a badge that says "SALE"')
    assert receipt["budget_ms"] == 25000


def test_dashboards_and_alerts_use_what_is_exported(live: Live) -> None:
    """Ray's agent sends what counters hold every few seconds, so names are waited for."""
    used = {name for _, expression in EXPRESSIONS for name in re.findall(r"\bray_\w+", expression)}
    assert used <= exported()
    deadline_s = time.monotonic() + 90
    missing = used - NOT_ON_A_CPU - OF_STEPS - OF_SHADOWS
    while missing and time.monotonic() < deadline_s:
        with urllib.request.urlopen(live.metrics_url, timeout=10) as response:
            found = set(re.findall(r"^(ray_\w+)", response.read().decode(), re.MULTILINE))
        missing = used - NOT_ON_A_CPU - OF_STEPS - OF_SHADOWS - found
        time.sleep(1 if missing else 0)
    assert missing == set()


def test_metrics_of_gpus_exist_under_their_names() -> None:
    from ray.dashboard.modules.reporter.reporter_agent import METRICS_GAUGES

    named = {f"ray_{name}" for name in METRICS_GAUGES}
    named |= {f"ray_{value}" for key, value in vars(telemetry).items() if key.startswith("METRIC_")}
    assert named >= NOT_ON_A_CPU

"""`atelier status` against a real HTTP API server and the answers of a real gateway."""

import copy
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from deployments.types import RenderRequest, RenderResult
from serve.cli.rayservice import parse_status
from serve.cli.status import status
from tests.helm.strict import problems
from tests.serve.gateways import gateway, http
from tests.serve.watch.api_server import ApiServer

SERVICES = "/apis/ray.io/v1/namespaces/studio/rayservices"
PROXY = "/api/v1/namespaces/studio/services/atelier-serve-svc:8000/proxy"


def condition(type_: str, value: str, reason: str, message: str = "") -> dict[str, str]:
    at = "2026-11-20T10:00:00Z"
    return {"type": type_, "status": value, "reason": reason, "message": message, "lastTransitionTime": at}


def cluster(name: str, **more: Any) -> dict[str, Any]:
    deployments = {
        "typography_focused": {"status": "HEALTHY"},
        "creative_highfidelity": {"status": "HEALTHY"},
    }
    return {
        "rayClusterName": name,
        "applicationStatuses": {"atelier": {"status": "RUNNING", "serveDeploymentStatuses": deployments}},
        "rayClusterStatus": {"state": "ready", "readyWorkerReplicas": 3, "desiredWorkerReplicas": 3},
        **more,
    }


SERVICE: dict[str, Any] = {
    "apiVersion": "ray.io/v1",
    "kind": "RayService",
    "metadata": {"name": "atelier", "namespace": "studio"},
    "spec": {},
    "status": {
        "numServeEndpoints": 4,
        "conditions": [
            condition("Ready", "True", "NonZeroServeEndpoints"),
            condition("UpgradeInProgress", "False", "NoPendingCluster"),
        ],
        "activeServiceStatus": cluster("atelier-abc12"),
        "pendingServiceStatus": {},
    },
}


def changed(**status_: Any) -> dict[str, Any]:
    service = copy.deepcopy(SERVICE)
    service["status"] |= status_
    return service


async def answers_of(prompts: int = 3, fails: bool = False) -> dict[str, Any]:
    """What a real gateway says after some requests."""

    async def fail(request: RenderRequest) -> RenderResult:
        raise RuntimeError

    of = gateway(renders={"creative_highfidelity": fail} if fails else None)
    await of._poll_load()
    async with http(of) as client:
        for _ in range(prompts):
            await client.post("/v1/images/generations", json={"prompt": "a poster"})
        return {f"/{path}": (await client.get(f"/{path}")).json() for path in ("v1/fleet", "v1/policy")}


@pytest.fixture
async def api() -> AsyncIterator[ApiServer]:
    proxied = {f"{PROXY}{path}": answer for path, answer in (await answers_of()).items()}
    with ApiServer(answers={SERVICES: [SERVICE], **proxied}) as server:
        yield server


def run(api: ApiServer, folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(status, ["--kubeconfig", str(api.kubeconfig(folder)), *arguments])


def found_by(api: ApiServer, folder: Path, *arguments: str) -> Any:
    return json.loads(run(api, folder, "--json", *arguments).stdout)


def test_the_sample_is_what_kuberay_would_write() -> None:
    service = {**SERVICE, "spec": {"rayClusterConfig": {"headGroupSpec": {"template": {}}}}}
    assert [each for each in problems(service) if "status" in each] == []


def test_a_release_that_does_well(api: ApiServer, tmp_path: Path) -> None:
    result = run(api, tmp_path)
    assert result.exit_code == 0, result.output
    for words in (
        "RayService studio/atelier: ready, 4 endpoints",
        "active: atelier-abc12, ready, 3 of 3 workers ready",
        "inline policy",
        "typography_focused",
        "HEALTHY",
        "closed",
        "100.0%",
    ):
        assert words in result.output
    assert "problem" not in result.output


def test_as_json(api: ApiServer, tmp_path: Path) -> None:
    document = found_by(api, tmp_path)
    assert document["rayservice"]["ready"] is True
    assert document["rayservice"]["upgrading"] is False
    assert document["rayservice"]["pending"] is None
    assert document["fleet"]["models"]["creative_highfidelity"]["replicas"] == 1
    assert [each["met_ratio"] for each in document["fleet"]["budgets"]["routes"].values()] == [1.0]
    assert document["policy"]["version"]
    assert document["problems"] == []


def test_an_incremental_upgrade_is_shown(api: ApiServer, tmp_path: Path) -> None:
    api.answers[SERVICES] = [
        changed(
            conditions=[
                condition("Ready", "True", "NonZeroServeEndpoints"),
                condition("UpgradeInProgress", "True", "BothActivePendingClustersExist"),
            ],
            activeServiceStatus=cluster("atelier-abc12", targetCapacity=60, trafficRoutedPercent=70),
            pendingServiceStatus=cluster("atelier-def34", targetCapacity=60, trafficRoutedPercent=30),
        )
    ]
    output = run(api, tmp_path).output
    assert "pending: atelier-def34, ready, 3 of 3 workers ready, capacity 60%, traffic 30%" in output
    assert "UpgradeInProgress: True (BothActivePendingClustersExist)" in output
    assert found_by(api, tmp_path)["rayservice"]["upgrading"] is True


def test_what_is_wrong_is_said_and_is_an_exit_status(api: ApiServer, tmp_path: Path) -> None:
    sick = cluster("atelier-abc12")
    sick["applicationStatuses"]["atelier"]["serveDeploymentStatuses"]["creative_highfidelity"] = {
        "status": "UNHEALTHY",
        "message": "failed to start 3 times in a row. Error:\n  File x.py\n"
        "deployments.starting.CannotStart: the weights take [too much] memory\n",
    }
    sick["rayClusterStatus"]["readyWorkerReplicas"] = 1
    api.answers[SERVICES] = [
        changed(
            conditions=[condition("Ready", "False", "ZeroServeEndpoints", "no endpoint is up")],
            activeServiceStatus=sick,
        )
    ]
    result = run(api, tmp_path)
    assert result.exit_code == 1
    for words in (
        "RayService atelier is not ready: no endpoint is up",
        "atelier-abc12: creative_highfidelity: the weights take [too much] memory",
        "atelier-abc12: 1 of 3 workers are ready",
    ):
        assert words in result.output


def test_a_model_without_a_replica_is_a_problem(api: ApiServer, tmp_path: Path) -> None:
    api.answers[f"{PROXY}/v1/fleet"]["models"]["creative_highfidelity"]["up"] = False
    [problem] = found_by(api, tmp_path)["problems"]
    assert problem == "model creative_highfidelity: no replica is up, requests go to the next candidate"


async def test_breakers_budgets_and_policies_are_problems_too(api: ApiServer, tmp_path: Path) -> None:
    answers = await answers_of(prompts=8, fails=True)
    answers["/v1/policy"]["refused"] = {"version": "1", "problems": ["policy.yaml:3:1: no such key"]}
    api.answers |= {f"{PROXY}{path}": answer for path, answer in answers.items()}
    found = found_by(api, tmp_path)["problems"]
    assert any("model creative_highfidelity: breaker is open" in each for each in found)
    assert any("0.0% of 8 requests met their budget" in each for each in found)
    assert any("policy.yaml:3:1: no such key" in each for each in found)


async def test_the_application_at_a_url_with_a_key(api: ApiServer, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("atl-secret\n")
    with ApiServer(answers=await answers_of()) as application:
        result = run(api, tmp_path, "--url", application.url, "--api-key-file", str(tmp_path / "key"))
        assert result.exit_code == 0, result.output
        assert {each.authorization for each in application.requests} == {"Bearer atl-secret"}
    assert "atl-secret" not in result.output


async def test_without_a_cluster_a_url_still_shows_the_application(tmp_path: Path) -> None:
    with ApiServer() as gone:
        file = gone.kubeconfig(tmp_path)
    with ApiServer(answers=await answers_of()) as application:
        arguments = ["--kubeconfig", str(file), "--url", application.url]
        result = CliRunner().invoke(status, arguments)
    assert result.exit_code == 1
    assert "typography_focused" in result.output
    assert "it does not accept connections" in result.output


@pytest.mark.parametrize(
    ("failures", "words"),
    [
        ([403], "HTTP 403 Forbidden; the account needs a Role with `list` on rayservices.ray.io"),
        ([401], "HTTP 401"),
        ([500], "RayServices cannot be listed: HTTP 500"),
    ],
)
def test_a_server_that_refuses(api: ApiServer, tmp_path: Path, failures: list[int], words: str) -> None:
    api.failures.extend(failures)
    result = run(api, tmp_path)
    assert result.exit_code == 1
    assert words in result.output


def test_a_cluster_without_kuberay(tmp_path: Path) -> None:
    with ApiServer() as bare:
        assert "install the CRDs of KubeRay 1.7 or later" in run(bare, tmp_path).output


def test_a_server_that_is_silent(tmp_path: Path) -> None:
    with ApiServer(silent=True) as silent:
        result = run(silent, tmp_path, "--timeout-s", "0.2")
    assert result.exit_code == 1
    assert "no answer in time" in result.output


def test_an_application_that_is_silent(api: ApiServer, tmp_path: Path) -> None:
    with ApiServer(silent=True) as silent:
        result = run(api, tmp_path, "--url", silent.url, "--timeout-s", "0.2")
    assert result.exit_code == 1
    assert "gives no answer within 0.2 s" in result.output


def test_an_application_behind_keys_or_away(api: ApiServer, tmp_path: Path) -> None:
    del api.answers[f"{PROXY}/v1/fleet"]
    output = " ".join(run(api, tmp_path).output.split())
    assert "answers HTTP 404; run `kubectl -n studio port-forward svc/atelier-serve-svc 8000`" in output
    with ApiServer(failures=[401]) as closed:
        output = " ".join(run(api, tmp_path, "--url", closed.url).output.split())
    assert "it needs an API key (--api-key-file, with --url)" in output


def test_something_else_that_answers(api: ApiServer, tmp_path: Path) -> None:
    with ApiServer(answers={"/v1/fleet": {"ships": 3}, "/v1/policy": {}}) as other:
        assert "is no Atelier" in run(api, tmp_path, "--url", other.url).output


@pytest.mark.parametrize(
    ("items", "arguments", "words"),
    [
        ([], (), "namespace studio has no RayService of this chart"),
        ([SERVICE], ("--name", "other"), "has no RayService 'other'; it has atelier"),
        (
            [SERVICE, {**SERVICE, "metadata": {"name": "second", "namespace": "studio"}}],
            (),
            "say --name atelier or second",
        ),
    ],
)
def test_which_service_is_meant(
    api: ApiServer, tmp_path: Path, items: list[Any], arguments: tuple[str, ...], words: str
) -> None:
    api.answers[SERVICES] = items
    assert words in " ".join(run(api, tmp_path, *arguments).output.split())


def test_a_service_that_has_just_been_made() -> None:
    found = parse_status({"metadata": {"name": "atelier", "namespace": "studio"}})
    assert (found.is_ready, found.is_upgrading, found.active, found.endpoints) == (False, False, None, 0)


def test_a_key_without_a_url_is_a_wrong_command_line(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("x")
    result = CliRunner().invoke(status, ["--api-key-file", str(tmp_path / "key")])
    assert result.exit_code == 2
    assert "--api-key-file needs --url" in result.output

"""`atelier plan` from its file to values that the chart takes, and the nodes of a cluster."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from deployments.engine.profile import Profile, ShapeProfile, write_profile
from serve.cli import nodes
from serve.cli.nodes import quantity
from serve.cli.plan import plan
from serve.kubernetes_api import ClusterError
from tests.helm.rendering import merged, render
from tests.serve.watch.api_server import ApiServer

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "plan.yaml"

DOCUMENT: dict[str, Any] = {
    "gpus": {
        "a100": {"memory_gib": 80, "usd_per_hour": 2.5, "accelerator_type": "A100", "product": "A100-80"}
    },
    "models": {
        "poster": {
            "memory_gib": 12,
            "images_per_s": 0.1,
            "max_latency_ms": 8000,
            "times": {"a100": {"batch_s": {1: 1.0, 2: 1.6}}},
        }
    },
}


def written(folder: Path, *changes: dict[str, Any]) -> str:
    file = folder / "plan.yaml"
    file.write_text(yaml.safe_dump(merged(DOCUMENT, *changes)))
    return str(file)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(plan, arguments)


def made(*arguments: str) -> Any:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_the_example_fits_and_its_values_are_taken_by_the_chart(tmp_path: Path) -> None:
    out = tmp_path / "values.yaml"
    result = run(str(EXAMPLE), "--out", str(out))
    assert result.exit_code == 0, result.output
    assert "per 1,000 images" in result.output
    planned = yaml.safe_load(out.read_text())
    kinds = {"kind": "diffusion", "weights": "/models/sdxl"}
    said = {"models": dict.fromkeys(planned["models"], kinds)}
    service = next(o for o in render(merged(said, planned)) if o["kind"] == "RayService")
    groups = service["spec"]["rayClusterConfig"]["workerGroupSpecs"]
    assert [group["groupName"] for group in groups] == ["cpu", "a100", "l4"]


def test_shares_of_the_values_are_those_of_the_plan(tmp_path: Path) -> None:
    out = tmp_path / "values.yaml"
    shown = made(written(tmp_path), "--out", str(out))
    poster = yaml.safe_load(out.read_text())["models"]["poster"]
    assert poster["num_gpus"] == shown["models"]["poster"]["num_gpus"] == 0.16
    assert poster["accelerator_type"] == "A100"
    assert poster["autoscaling"]["max_replicas"] == shown["models"]["poster"]["replicas"]


def test_what_does_not_fit_is_an_exit_status(tmp_path: Path) -> None:
    result = run(written(tmp_path, {"models": {"poster": {"memory_gib": 90}}}))
    assert result.exit_code == 1
    assert "poster does not fit" in result.output
    assert "needs 90.5 GiB, a100 has 80.0 GiB" in result.output


def test_a_measured_profile_gives_times_and_memory(tmp_path: Path) -> None:
    shape = ShapeProfile(
        width=1024,
        height=1024,
        step_fixed_s=0.01,
        step_per_request_s=0.05,
        prepare_s=0.1,
        decode_s=0.2,
        max_batch=4,
    )
    measured = Profile(
        model="poster", revision="1", device="A100", dtype="float16", memory_bytes=10 << 30, shapes=[shape]
    )
    write_profile(measured, tmp_path / "poster.json")
    times = {"profile": "poster.json", "width": 1024, "height": 1024, "steps": 20}
    document = {**DOCUMENT, "models": {"poster": {"images_per_s": 0.1, "times": {"a100": times}}}}
    file = tmp_path / "plan.yaml"
    file.write_text(yaml.safe_dump(document))
    poster = made(str(file))["models"]["poster"]
    assert poster["batch"] == 4
    assert poster["num_gpus"] >= 0.14
    times["width"] = 512
    file.write_text(yaml.safe_dump(document))
    assert "the profile has no 512x1024; it has 1024x1024" in run(str(file)).output


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"gpu": {}}, "plan.yaml:1:1: gpu"),
        ({"gpus": {"a100": {"memory": "80GB"}}}, "gpus.a100.memory"),
        ({"models": {"poster": {"times": {"h100": {"batch_s": {1: 1}}}}}}, "no such GPU under gpus"),
        ({"models": {"poster": {"times": {"a100": {"published": "sdxl"}}}}}, "exactly one of published"),
        ({"models": {"poster": {"times": {"a100": {"steps": 3}}}}}, "belong to a profile"),
        ({"models": {"poster": {"images_per_s": 0}}}, "models.poster.images_per_s"),
        ({"gpus": {"a100": {"memory_gib": None}}}, "gpus.a100.memory_gib: missing"),
        ({"models": {"poster": {"memory_gib": None}}}, "models.poster.memory_gib: missing"),
    ],
)
def test_a_wrong_file_is_named(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    result = run(written(tmp_path, change))
    assert result.exit_code == 2
    assert words in result.output


def test_published_times_by_name(tmp_path: Path) -> None:
    times = {"times": {"a100": {"batch_s": None, "published": "sd-turbo-a100-80g", "max_batch": 4}}}
    assert made(written(tmp_path, {"models": {"poster": times}}))["models"]["poster"]["batch"] == 4
    unknown = {"times": {"a100": {"batch_s": None, "published": "sd-9"}}}
    assert (
        "'sd-9' is not known; known are sd-turbo"
        in run(written(tmp_path, {"models": {"poster": unknown}})).output
    )
    listed = run("--published")
    assert "sdxl-20-steps-l4: Stable Diffusion XL" in listed.output
    assert "MLPerf" in listed.output


def node(name: str, product: str, gpus: int, mib: int | None, **more: Any) -> dict[str, Any]:
    labels = {"nvidia.com/gpu.product": product, **more.pop("labels", {})}
    if mib is not None:
        labels["nvidia.com/gpu.memory"] = str(mib)
    allocatable = {"cpu": "31850m", "memory": "126Gi", "pods": "110", "nvidia.com/gpu": str(gpus)}
    return {
        "metadata": {"name": name, "labels": labels},
        "spec": more,
        "status": {"allocatable": allocatable},
    }


NODES = [
    node("a", "A100-80", 2, 81920),
    node("b", "A100-80", 4, 81920),
    node("c", "A100-80", 8, 81920, unschedulable=True),
    node("d", "L4", 1, 23034),
    {"metadata": {"name": "e"}, "spec": {}, "status": {"allocatable": {"cpu": "4", "memory": "8Gi"}}},
]


def from_cluster(api: ApiServer, folder: Path, *changes: dict[str, Any]) -> Result:
    return run(
        written(folder, *changes), "--from-cluster", "--kubeconfig", str(api.kubeconfig(folder)), "--json"
    )


def test_gpus_are_counted_in_the_cluster(tmp_path: Path) -> None:
    out = tmp_path / "values.yaml"
    with ApiServer(answers={"/api/v1/nodes": NODES}) as api:
        result = run(
            written(
                tmp_path, {"gpus": {"a100": {"memory_gib": None}}, "models": {"poster": {"images_per_s": 4}}}
            ),
            *("--from-cluster", "--kubeconfig", str(api.kubeconfig(tmp_path)), "--out", str(out), "--json"),
        )
        pages = [request for request in api.requests if request.path == "/api/v1/nodes"]
    assert result.exit_code == 0, result.output
    assert len(pages) == 3
    assert json.loads(result.stdout)["gpus"]["a100"] <= 6
    assert "1 x L4, which the file gives no price" in result.stderr
    group = yaml.safe_load(out.read_text())["workerGroups"][1]
    assert group["gpu"]["count"] == 2
    assert group["resources"] == {"cpu": 28, "memory": "113Gi", "ephemeral-storage": "60Gi"}
    assert group["nodeSelector"] == {"nvidia.com/gpu.product": "A100-80"}


def test_a_load_over_what_the_cluster_has_is_left_out(tmp_path: Path) -> None:
    with ApiServer(answers={"/api/v1/nodes": NODES}) as api:
        result = from_cluster(api, tmp_path, {"models": {"poster": {"images_per_s": 40}}})
    assert result.exit_code == 1
    assert "available are 6 a100" in json.loads(result.stdout)["left_out"]["poster"][0]


def test_a_gpu_that_the_cluster_has_not(tmp_path: Path) -> None:
    with ApiServer(answers={"/api/v1/nodes": NODES}) as api:
        result = from_cluster(api, tmp_path, {"gpus": {"a100": {"product": "H100"}}})
    assert result.exit_code == 1
    assert "gpus.a100: the cluster has no H100; it has A100-80, L4" in result.stderr


def test_gpus_offered_several_times_count_once(tmp_path: Path) -> None:
    sliced = node("a", "A100-80", 8, 81920, labels={"nvidia.com/gpu.replicas": "4"})
    with ApiServer(answers={"/api/v1/nodes": [sliced]}) as api:
        result = from_cluster(api, tmp_path, {"models": {"poster": {"images_per_s": 40}}})
    assert "available are 2 a100" in result.stdout
    assert "offered several times" in result.stderr


def test_without_a_label_of_memory_the_file_must_say_it(tmp_path: Path) -> None:
    with ApiServer(answers={"/api/v1/nodes": [node("a", "A100-80", 1, None)]}) as api:
        assert from_cluster(api, tmp_path).exit_code == 0
        result = from_cluster(api, tmp_path, {"gpus": {"a100": {"memory_gib": None}}})
    assert "gpus.a100.memory_gib: missing, and no node label says it" in result.stderr


@pytest.mark.parametrize(
    ("status", "words"),
    [(403, "HTTP 403 Forbidden; the account needs a ClusterRole with `list` on nodes"), (500, "HTTP 500")],
)
def test_a_cluster_that_refuses_says_why(tmp_path: Path, status: int, words: str) -> None:
    with ApiServer(failures=[status]) as api:
        result = from_cluster(api, tmp_path)
    assert result.exit_code == 2
    assert words in " ".join(result.stderr.split())


def test_a_cluster_that_is_away_or_silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ApiServer() as gone:
        file = gone.kubeconfig(tmp_path)
    away = run(written(tmp_path), "--from-cluster", "--kubeconfig", str(file))
    assert "does not accept connections" in away.output
    monkeypatch.setattr(nodes, "READ_TIMEOUT_S", 0.1)
    with ApiServer(silent=True) as api:
        silent = from_cluster(api, tmp_path)
    assert "no answer in time" in silent.stderr


def test_a_kubeconfig_that_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "kubeconfig").write_text("apiVersion: v1\nkind: Config\n")
    result = run(written(tmp_path), "--from-cluster", "--kubeconfig", str(tmp_path / "kubeconfig"))
    assert result.exit_code == 2
    assert "no way into a Kubernetes cluster" in result.output


@pytest.mark.parametrize(
    ("text", "number"), [("4", 4), ("31850m", 31.85), ("64Gi", 64 * 2**30), ("1.5k", 1500), ("0", 0)]
)
def test_quantities(text: str, number: float) -> None:
    assert quantity(text) == pytest.approx(number)


def test_no_quantity() -> None:
    with pytest.raises(ClusterError, match="64GB"):
        quantity("64GB")

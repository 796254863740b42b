"""Details of single templates that neither schemas nor cross checks see."""

import json
import re
from typing import Any

import pytest

from serve import proxies
from tests.helm.cross_checks import matches
from tests.helm.rendering import (
    NAMESPACE,
    Object,
    example,
    merged,
    one,
    pod_templates,
    render,
    render_text,
)
from tests.helm.test_collector import COLLECTOR, collector_config


def _reachable(objects: list[Object], labels: dict[str, str], port: int) -> list[Any]:
    """Peers that may reach `port` of a pod with `labels`."""
    return [
        peer
        for each in objects
        if each["kind"] == "NetworkPolicy" and matches(each["spec"]["podSelector"], labels)
        for rule in each["spec"].get("ingress", [])
        if "ports" not in rule or port in {p["port"] for p in rule["ports"]}
        for peer in rule["from"]
    ]


RAY = {"app.kubernetes.io/name": "atelier", "app.kubernetes.io/instance": "atelier"}
HEAD = {**RAY, "app.kubernetes.io/component": "ray-head"}


def test_ray_ports_are_open_to_ray_alone() -> None:
    for peer in _reachable(render(example("multi-gpu")), HEAD, 6379):
        assert peer["podSelector"]["matchLabels"].items() <= RAY.items()
        assert peer["podSelector"]["matchExpressions"][0]["values"] == ["ray-head", "ray-worker"]


def test_dashboard_is_open_to_the_operator_besides() -> None:
    peers = _reachable(render(example("multi-gpu")), HEAD, 8265)
    foreign = [peer for peer in peers if "namespaceSelector" in peer]
    operator = {"matchLabels": {"kubernetes.io/metadata.name": "kuberay-system"}}
    assert [peer["namespaceSelector"] for peer in foreign] == [operator]


@pytest.mark.parametrize(
    ("follow", "components"), [("mount", ["ray-head"]), ("api", ["ray-head", "ray-worker"])]
)
def test_who_reaches_the_kubernetes_api(follow: str, components: list[str]) -> None:
    """In this example nothing else is let out by address."""
    objects = render(merged(example("locked-down"), {"policy": {"follow": follow}}))
    by_address = [
        each["spec"]["podSelector"]["matchExpressions"][0]["values"]
        for each in objects
        if each["kind"] == "NetworkPolicy"
        for rule in each["spec"].get("egress", [])
        if any("ipBlock" in peer for peer in rule["to"])
    ]
    assert by_address == [components]


def test_routers_may_read_their_policy_and_nothing_else() -> None:
    values = {"policy": {"follow": "api", "existingConfigMap": "ours", "document": None}}
    objects = render(values)
    assert one(objects, "Role")["rules"] == [
        {
            "apiGroups": [""],
            "resources": ["configmaps"],
            "resourceNames": ["ours"],
            "verbs": ["get", "list", "watch"],
        }
    ]
    tokens = {where: pod["spec"]["automountServiceAccountToken"] for where, pod in pod_templates(objects)}
    assert tokens == {
        "Pod/atelier-test": False,
        "RayService/atelier/cpu": True,
        "RayService/atelier/head": True,
    }


def test_without_watching_there_is_nothing_to_allow() -> None:
    assert not [o for o in render() if o["kind"] in ("Role", "RoleBinding")]


def test_locked_down_has_no_way_out() -> None:
    text = json.dumps([o for o in render(example("locked-down")) if o["kind"] == "NetworkPolicy"])
    assert "0.0.0.0/0" not in text


def test_hosted_models_get_their_keys_and_a_way_out() -> None:
    anywhere: Object = {"ipBlock": {"cidr": "0.0.0.0/0"}}
    values = {
        "models": {
            "poster": {
                "kind": "openai_compatible",
                "base_url": "http://vllm.studio.svc:8000/v1",
                "model": "m",
                "api_key": {"file": "/etc/atelier/providers/vllm"},
            }
        },
        "providerKeys": {"existingSecret": "keys"},
        "networkPolicy": {"hostedApis": [anywhere], "hostedApiPorts": [443, 8000]},
    }
    objects = render(values)
    mount = {"name": "provider-keys", "mountPath": "/etc/atelier/providers", "readOnly": True}
    for _, pod in pod_templates([one(objects, "RayService")]):
        assert mount in pod["spec"]["containers"][0]["volumeMounts"]
        assert any(each.get("secret", {}).get("secretName") == "keys" for each in pod["spec"]["volumes"])
    ways = [
        [port["port"] for port in rule["ports"]]
        for each in objects
        if each["kind"] == "NetworkPolicy"
        for rule in each["spec"].get("egress", [])
        if anywhere in rule["to"]
    ]
    assert ways == [[443, 8000]]


def test_front_door_forwards_to_the_upgrade_gateway() -> None:
    route = one(render(example("multi-gpu")), "HTTPRoute")
    assert route["spec"]["rules"][0]["backendRefs"] == [{"name": "atelier-gateway-istio", "port": 80}]


def test_front_door_forwards_to_the_service_of_kuberay() -> None:
    backend = one(render(example("locked-down")), "Ingress")["spec"]["rules"][0]["http"]["paths"][0][
        "backend"
    ]
    assert backend["service"] == {"name": "atelier-serve-svc", "port": {"number": 8000}}


def test_ingress_has_tls() -> None:
    ingress = one(render(example("locked-down")), "Ingress")["spec"]
    assert ingress["tls"] == [{"hosts": ["images.internal.example"], "secretName": "images-internal-tls"}]


def test_disruption_budgets_name_whole_numbers() -> None:
    """maxUnavailable and percentages need a scale subresource, which a RayCluster does not have."""
    budgets = [o for o in render(example("multi-gpu")) if o["kind"] == "PodDisruptionBudget"]
    assert len(budgets) == 4
    for budget in budgets:
        assert isinstance(budget["spec"]["minAvailable"], int)
        assert "maxUnavailable" not in budget["spec"]


def test_chart_version_does_not_reach_ray_pods() -> None:
    """Anything that changes in a Ray pod starts a new cluster, a patch release of the chart included."""
    for _, pod in pod_templates([one(render(), "RayService")]):
        assert "helm.sh/chart" not in pod["metadata"]["labels"]
        assert "app.kubernetes.io/version" not in pod["metadata"]["labels"]


def test_policy_does_not_reach_ray_pods() -> None:
    """A new policy must not restart anything: the RayService stays the same to the byte."""

    def service(max_latency_ms: int) -> Object:
        route = {"pattern": ".*", "model": "typography_focused", "max_latency_ms": max_latency_ms}
        return one(render({"policy": {"document": {"model_routing": [route]}}}), "RayService")

    assert service(100) == service(200)


def test_load_test_says_whom_it_loads() -> None:
    values = {"loadtest": {"enabled": True, "requestsPerSecond": 2.5, "arguments": ["--slo", "p99_ms<=1200"]}}
    command = one(render(values), "Job")["spec"]["template"]["spec"]["containers"][0]["command"]
    assert command == [
        *("atelier", "loadtest", "http://atelier-serve-svc.studio.svc:8000", "--allow-remote"),
        *("--rate", "2.5", "--duration", "60", "--slo", "p99_ms<=1200"),
    ]


def test_load_test_options_exist() -> None:
    from serve.cli.loadtest import loadtest

    known = {option for parameter in loadtest.params for option in parameter.opts}
    values = {
        "loadtest": {"enabled": True},
        "apiKeys": {"existingSecret": "keys", "testKey": "test"},
    }
    command = one(render(values), "Job")["spec"]["template"]["spec"]["containers"][0]["command"]
    assert {word for word in command if word.startswith("--")} <= known


AUDIT = {"audit": {"enabled": True, "existingConfigMap": "weekly"}}


def test_an_audit_reports_to_where_prometheus_looks() -> None:
    """It ends before anybody could scrape it: it sends to the collector, whose port the monitor names."""
    objects = render(merged(COLLECTOR, AUDIT, {"monitoring": {"podMonitor": {"enabled": True}}}))
    container = one(objects, "CronJob")["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]
    env = {each["name"]: each["value"] for each in container["env"]}
    assert env["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://atelier-otel.studio.svc:4318"
    pipeline = collector_config(AUDIT)["service"]["pipelines"]["metrics"]
    assert (pipeline["receivers"], pipeline["exporters"]) == (["otlp"], ["prometheus"])
    port = collector_config(AUDIT)["exporters"]["prometheus"]["endpoint"].rsplit(":", 1)[1]
    collector = one(objects, "Deployment")["spec"]["template"]["spec"]["containers"][0]
    assert {"name": "audits", "containerPort": int(port)} in collector["ports"]
    monitor = one(objects, "PodMonitor", "atelier-otel")["spec"]["podMetricsEndpoints"]
    assert [each["port"] for each in monitor] == ["metrics", "audits"]


def test_an_audit_reaches_the_endpoint_and_the_collector_alone() -> None:
    objects = render(merged(COLLECTOR, AUDIT))
    labels = {**RAY, "app.kubernetes.io/component": "audit"}
    ports = {
        port["port"]
        for each in objects
        if each["kind"] == "NetworkPolicy" and matches(each["spec"]["podSelector"], labels)
        for rule in each["spec"].get("egress", [])
        for port in rule["ports"]
    }
    assert ports == {53, 8000, 4318}
    otel = {**RAY, "app.kubernetes.io/component": "otel-collector"}
    peers = [peer["podSelector"] for peer in _reachable(objects, otel, 4318)]
    assert any(matches(peer, labels) for peer in peers)


def test_audit_options_exist() -> None:
    from serve.cli.audit_watch import watch_command

    known = {option for parameter in watch_command.params for option in parameter.opts}
    values = merged(AUDIT, {"apiKeys": {"existingSecret": "keys", "testKey": "test"}})
    spec = one(render(values), "CronJob")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    command = spec["containers"][0]["command"]
    assert command[:3] == ["atelier", "audit", "watch"]
    assert {word for word in command if word.startswith("--")} <= known


def test_runs_of_an_audit_stay_where_a_claim_is_named() -> None:
    def runs(values: Object) -> Object:
        spec = one(render(merged(AUDIT, values)), "CronJob")["spec"]["jobTemplate"]["spec"]["template"][
            "spec"
        ]
        return next(volume for volume in spec["volumes"] if volume["name"] == "runs")

    assert runs({})["emptyDir"] == {"sizeLimit": "2Gi"}
    assert runs({"audit": {"existingClaim": "runs"}})["persistentVolumeClaim"] == {"claimName": "runs"}


def test_haproxy_is_chosen_on_every_node_and_its_ports_stay_among_them() -> None:
    wanted = proxies.environment(proxies.Proxy.HAPROXY, f"/opt/atelier/bin/{proxies.COMMAND}")
    for proxy, expected in (("haproxy", wanted), ("python", {})):
        objects = render(merged(example("multi-gpu"), {"ray": {"proxy": proxy}}))
        cluster = one(objects, "RayService")["spec"]["rayClusterConfig"]
        groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
        for group in groups:
            env = {
                each["name"]: each.get("value") for each in group["template"]["spec"]["containers"][0]["env"]
            }
            assert {name: env[name] for name in env if name.startswith("RAY_SERVE_")} == expected
        assert len(groups) > 1
    rules = one(objects, "NetworkPolicy", "atelier-ray")["spec"]["ingress"]
    assert not [rule for rule in rules[1:] for port in rule["ports"] if port["port"] in (8404, 9101)]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("one-node-cpu", ["port-forward svc/atelier-serve-svc 8000:8000", "networkPolicy.clients is empty"]),
        ("multi-gpu", ["https://images.example.com/v1/models", "creative_fast, creative_highfidelity"]),
        ("locked-down", ["https://images.internal.example/v1/models"]),
    ],
)
def test_notes_say_what_to_do_next(name: str, words: list[str]) -> None:
    notes = render_text(example(name))["templates/NOTES.txt"]
    for word in [f"helm -n {NAMESPACE} test atelier", *words]:
        assert word in notes
    assert not re.search(r"<no value>|%!", notes)


def test_notes_warn() -> None:
    values = {"networkPolicy": {"enabled": False}, "ray": {"auth": {"mode": "disabled"}}}
    assert render_text(values)["templates/NOTES.txt"].count("WARNING") == 2

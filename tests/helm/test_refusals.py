"""Values that are wrong are refused at render, with a sentence that names the value."""

from typing import Any

import pytest

from tests.helm.rendering import Object, Refused, example, merged, render, render_text

GROUP: Object = {
    "name": "gpu",
    "minReplicas": 0,
    "maxReplicas": 2,
    "gpu": {"count": 1, "resourceName": "nvidia.com/gpu", "acceleratorType": "A100"},
    "resources": {"cpu": 8, "memory": "64Gi"},
}
INCREMENTAL = "NewClusterWithIncrementalUpgrade"


def _upgrade(**options: Any) -> Object:
    return {"ray": {"upgrade": {"strategy": INCREMENTAL, "incremental": options}}}


def _group(**changes: Any) -> Object:
    return {"workerGroups": [merged(GROUP, changes)]}


def _model(**fields: Any) -> Object:
    return {"models": {"poster": fields}}


def _hosted(**fields: Any) -> Object:
    return _model(kind="openai_images", model="gpt-image-2", **fields)


def _routes(*routes: Object) -> Object:
    return {"policy": {"document": {"model_routing": list(routes)}}}


# What is wrong, and words of the sentence that a user reads.
WRONG: list[tuple[str, Object, str]] = [
    # Typos
    ("unknown key at the top", {"imagee": {}}, "imagee"),
    ("unknown key of the image", {"image": {"tagg": "1"}}, "tagg"),
    ("unknown key of ray", {"ray": {"autoscaling": {}}}, "autoscaling"),
    ("unknown key of a group", _group(minReplica=1), "minReplica"),
    ("unknown key of a model", _model(kind="echo", num_gpu=0.5), "num_gpu"),
    ("unknown kind of model", _model(kind="difusion"), "/models/poster/kind"),
    ("model without a kind", _model(num_gpus=1), "kind"),
    ("unknown key of the app", {"app": {"limit": {}}}, "limit"),
    (
        "unknown key of autoscaling",
        {"autoscaling": {"typography_focused": {"max_replica": 2}}},
        "max_replica",
    ),
    ("unknown key of a route", _routes({"pattern": ".*", "modle": "x"}), "modle"),
    ("unknown peer", {"networkPolicy": {"clients": [{"namespace": "x"}]}}, "networkPolicy/clients"),
    ("policy of the app", {"app": {"policy": {"path": "/x"}}}, "policy"),
    # Wrong types and units
    ("memory without a unit", _group(resources={"memory": "64"}), "memory"),
    ("memory in bytes", _group(resources={"memory": 68719476736}), "memory"),
    ("memory in a wrong unit", _group(resources={"memory": "64GB"}), "memory"),
    ("cpu in millicores without the m", _group(resources={"cpu": "0.5k"}), "cpu"),
    ("replicas in quotes", _group(minReplicas="1"), "minReplicas"),
    ("half a GPU of a pod", _group(gpu={"count": 0.5}), "count"),
    (
        "resource that Ray would not read",
        _group(gpu={"resourceName": "nvidia.com/mig-1g.5gb"}),
        "resourceName",
    ),
    ("seconds with a unit", {"ray": {"drainSeconds": "30s"}}, "drainSeconds"),
    ("percent as a ratio", _upgrade(gatewayClassName="istio", stepSizePercent=0.1), "stepSizePercent"),
    ("percent over a hundred", _upgrade(gatewayClassName="istio", maxSurgePercent=150), "maxSurgePercent"),
    ("port out of range", {"networkPolicy": {"redisPort": 70000}}, "redisPort"),
    ("objective in percent", {"monitoring": {"rules": {"budgetObjectiveRatio": 99}}}, "budgetObjectiveRatio"),
    ("address that is no CIDR", {"networkPolicy": {"kubernetesApi": {"cidrs": ["10.0.0.1"]}}}, "cidrs"),
    ("digest that is short", {"image": {"digest": "sha256:abc"}}, "digest"),
    ("latest", {"image": {"tag": "latest"}}, "/image/tag"),
    ("root", {"securityContext": {"runAsUser": 0}}, "runAsUser"),
    (
        "branch instead of a commit",
        {
            "modelCache": {
                "kind": "emptyDir",
                "models": [{"folder": "sdxl", "repository": "a/b", "revision": "main"}],
            }
        },
        "revision",
    ),
    (
        "folder that climbs",
        {
            "modelCache": {
                "kind": "emptyDir",
                "models": [{"folder": "../x", "repository": "a/b", "revision": "0" * 40}],
            }
        },
        "folder",
    ),
    ("Ray too old for token auth", {"ray": {"version": "2.40.0"}}, "/ray/version"),
    (
        "delay below zero",
        {"ray": {"upgrade": {"clusterDeletionDelaySeconds": -1}}},
        "clusterDeletionDelaySeconds",
    ),
    # What the operator refuses
    ("name too long", {"fullnameOverride": "a" * 48}, "fullnameOverride"),
    ("name that starts with a digit", {"fullnameOverride": "1a"}, 'the name "1a"'),
    ("unknown strategy", {"ray": {"upgrade": {"strategy": "RollingUpdate"}}}, "strategy"),
    ("incremental without a class", _upgrade(), "gatewayClassName"),
    (
        "incremental without an autoscaler",
        merged(_upgrade(gatewayClassName="istio"), {"ray": {"autoscaler": {"enabled": False}}}),
        "ray.autoscaler.enabled",
    ),
    (
        "step over the surge",
        _upgrade(gatewayClassName="istio", stepSizePercent=50, maxSurgePercent=20),
        "stepSizePercent 50 is greater than maxSurgePercent 20",
    ),
    ("interval of nothing", _upgrade(gatewayClassName="istio", intervalSeconds=0), "intervalSeconds"),
    (
        "Redis by environment",
        {"ray": {"env": [{"name": "RAY_REDIS_ADDRESS", "value": "x:1"}]}},
        "RAY_REDIS_ADDRESS",
    ),
    (
        "autoscaler version by environment",
        {"ray": {"env": [{"name": "RAY_enable_autoscaler_v2", "value": "1"}]}},
        "RAY_enable_autoscaler_v2",
    ),
    ("Redis without an address", {"ray": {"gcsFaultTolerance": {"enabled": True}}}, "redisAddress"),
    # Hosted models
    ("key of a provider in the config", _model(kind="ideogram", model="V_3", api_key="sk-1"), "api_key"),
    (
        "variable of a key that no pod has",
        _model(kind="ideogram", model="V_3"),
        "models.poster takes its API key from the environment variable IDEOGRAM_API_KEY",
    ),
    (
        "key as plain text",
        {"ray": {"env": [{"name": "OPENAI_API_KEY", "value": "sk-1"}]}},
        "ray.env gives OPENAI_API_KEY as plain text",
    ),
    (
        "file of a key without a Secret",
        _hosted(api_key={"file": "/etc/atelier/providers/openai"}),
        "providerKeys.existingSecret names no Secret",
    ),
    (
        "file of a key that nothing mounts",
        _hosted(api_key={"file": "/run/secrets/openai"}),
        "is not in /etc/atelier/providers/",
    ),
    (
        "hosted model without a way out",
        merged(
            _hosted(api_key={"file": "/etc/atelier/providers/openai"}),
            {"providerKeys": {"existingSecret": "keys"}},
        ),
        "networkPolicy.hostedApis is empty",
    ),
    # Conflicts
    ("no models", {"models": {"typography_focused": None}}, "models"),
    ("minimum over maximum", _group(minReplicas=3), "minReplicas 3 is greater than maxReplicas 2"),
    ("replicas outside", _group(replicas=5), "replicas 5 is outside"),
    ("budget that blocks every drain", _group(pdbMinAvailable=3), "pdbMinAvailable 3"),
    ("two groups of one name", {"workerGroups": [GROUP, GROUP]}, 'workerGroups names "gpu" twice'),
    ("no node for models", {"workerGroups": []}, "head.runsReplicas"),
    ("GPUs in resources", _group(resources={"nvidia.com/gpu": 1}), "nvidia.com/gpu"),
    (
        "model autoscaling upside down",
        merged(_group(), _model(kind="echo", autoscaling={"min_replicas": 4, "max_replicas": 2})),
        "models.poster.autoscaling.min_replicas 4",
    ),
    (
        "one and a half GPUs",
        merged(_group(gpu={"count": 2}), _model(kind="echo", num_gpus=1.5)),
        "models.poster.num_gpus 1.5",
    ),
    ("GPU that no group has", _model(kind="echo", num_gpus=1), "models.poster needs 1 GPU"),
    (
        "kind of GPU that no group has",
        merged(_group(), _model(kind="echo", num_gpus=1, accelerator_type="H100")),
        "accelerator_type H100",
    ),
    (
        "more GPUs than there are",
        merged(_group(), _model(kind="echo", num_gpus=1, autoscaling={"min_replicas": 3, "max_replicas": 3})),
        "models need 3 GPUs",
    ),
    ("more CPUs than a node has", _model(kind="echo", num_cpus=64), "64 CPU"),
    (
        "autoscaling of an unknown model",
        {"autoscaling": {"nobody": {"max_replicas": 2}}},
        "autoscaling.nobody",
    ),
    ("route to an unknown model", _routes({"pattern": ".*", "model": "nobody"}), '"nobody"'),
    (
        "stage of an unknown model",
        _routes({"pattern": ".*", "stages": ["typography_focused", "nobody"]}),
        '"nobody"',
    ),
    (
        "fallback to an unknown model",
        _routes({"pattern": ".*", "model": "typography_focused", "fallback": [{"model": "nobody"}]}),
        '"nobody"',
    ),
    ("two sources of the policy", {"policy": {"existingConfigMap": "mine"}}, "policy.existingConfigMap"),
    (
        "includes without files",
        {"policy": {"document": {"includes": ["more.yaml"]}}},
        "policy.document.includes",
    ),
    ("no policy", {"policy": {"document": None}}, "policy.document is empty"),
    ("hub id without a revision", _model(kind="diffusion", weights="a/b"), "models.poster.revision"),
    (
        "hub id beside a cache",
        merged(
            _model(kind="diffusion", weights="a/b", revision="0" * 40), {"modelCache": {"kind": "emptyDir"}}
        ),
        "models.poster.weights",
    ),
    (
        "weights that nobody fetches",
        merged(
            _model(kind="diffusion", weights="/models/sdxl"),
            {
                "modelCache": {
                    "kind": "emptyDir",
                    "models": [{"folder": "turbo", "repository": "a/b", "revision": "0" * 40}],
                }
            },
        ),
        "/models/sdxl",
    ),
    (
        "models of a cache that is off",
        {"modelCache": {"models": [{"folder": "sdxl", "repository": "a/b", "revision": "0" * 40}]}},
        "modelCache.kind is none",
    ),
    ("claim without a size", {"modelCache": {"kind": "pvc"}}, "modelCache.pvc.size"),
    ("batches without a size", {"batches": {"enabled": True}}, "batches.size"),
    (
        "batches in a folder of the pod",
        {"app": {"batches": {"folder": "/tmp/x"}}},
        "app.batches.folder is set",
    ),
    ("batches with a journal", {"app": {"batches": {"journal": "wal"}}}, "app.batches.journal is set"),
    ("folder of the node without a path", {"modelCache": {"kind": "hostPath"}}, "modelCache.hostPath"),
    (
        "several routers, one memory",
        {"app": {"router": {"autoscaling": {"max_replicas": 2}}}},
        "app.files.url",
    ),
    (
        "Ingress without TLS",
        {"ingress": {"enabled": True, "host": "a.b"}, "apiKeys": {"allowAnonymous": True}},
        "ingress.tlsSecretName",
    ),
    (
        "Ingress without keys",
        {"ingress": {"enabled": True, "host": "a.b", "tlsSecretName": "t"}},
        "apiKeys.existingSecret",
    ),
    (
        "two front doors",
        {"ingress": {"enabled": True}, "gateway": {"httpRoute": {"enabled": True}}},
        "choose one front door",
    ),
    (
        "front door past the upgrade's Gateway",
        merged(_upgrade(gatewayClassName="istio"), {"ingress": {"enabled": True}}),
        "gatewayService.name",
    ),
    (
        "route without a parent",
        {"gateway": {"httpRoute": {"enabled": True, "hostnames": ["a.b"]}}},
        "gateway.httpRoute.parentRefs",
    ),
    (
        "Gateway without a certificate",
        {"gateway": {"create": {"enabled": True, "className": "x"}, "httpRoute": {"enabled": True}}},
        "gateway.create.tlsSecretName",
    ),
    (
        "secret as plain text",
        {"ray": {"env": [{"name": "PROVIDER_API_KEY", "value": "sk-1"}]}},
        "PROVIDER_API_KEY",
    ),
    (
        "token of disabled auth",
        {"ray": {"auth": {"mode": "disabled", "existingSecret": "x"}}},
        "ray.auth.existingSecret",
    ),
    ("grace shorter than the drain", {"ray": {"drainSeconds": 90}}, "terminationGracePeriodSeconds 90"),
    ("collector that sends nowhere", {"otelCollector": {"enabled": True}}, "otelCollector.exporter.endpoint"),
    (
        "every pod scraped twice",
        {"monitoring": {"podMonitor": {"enabled": True}, "serviceMonitor": {"enabled": True}}},
        "monitoring.serviceMonitor.enabled",
    ),
    (
        "two collectors",
        {
            "otelCollector": {"enabled": True, "exporter": {"endpoint": "http://a"}},
            "telemetry": {"otlpEndpoint": "http://b"},
        },
        "telemetry.otlpEndpoint",
    ),
    (
        "endpoint behind the policies' back",
        {"app": {"telemetry": {"otlp_endpoint": "http://a"}}},
        "app.telemetry.otlp_endpoint",
    ),
    (
        "autoscaler that cannot reach the API",
        {"networkPolicy": {"kubernetesApi": {"cidrs": []}}},
        "networkPolicy.kubernetesApi.cidrs",
    ),
    (
        "routers that cannot reach the API",
        {
            "policy": {"follow": "api"},
            "ray": {"autoscaler": {"enabled": False}},
            "networkPolicy": {"kubernetesApi": {"cidrs": []}},
        },
        "policy.follow is api",
    ),
    ("a policy followed by something else", {"policy": {"follow": "watch"}}, "/policy/follow"),
    (
        "Redis behind a closed door",
        {"ray": {"gcsFaultTolerance": {"enabled": True, "redisAddress": "r:1"}}},
        "networkPolicy.redis",
    ),
    (
        "two priority classes of one name",
        {"priorityClasses": [{"name": "a", "value": 1}, {"name": "a", "value": 2}]},
        'priorityClasses names "a" twice',
    ),
    (
        "Gateway without a route",
        {"gateway": {"create": {"enabled": True}}},
        "gateway.httpRoute.enabled",
    ),
    (
        "one parent twice",
        {
            "gateway": {"httpRoute": {"parentRefs": [{"name": "a", "sectionName": "x"}, {"name": "a"}]}},
        },
        "gateway.httpRoute.parentRefs[1]",
    ),
    (
        "keys that no volume holds",
        {"app": {"auth": {"keys_file": "/etc/keys"}}},
        "app.auth.keys_file",
    ),
    (
        "load test without a key",
        {"loadtest": {"enabled": True}, "apiKeys": {"existingSecret": "k"}},
        "apiKeys.testKey",
    ),
    (
        "audit without a key",
        {"audit": {"enabled": True, "existingConfigMap": "c"}, "apiKeys": {"existingSecret": "k"}},
        "apiKeys.testKey",
    ),
    (
        "audit of nothing",
        {"audit": {"enabled": True}},
        "audit.existingConfigMap",
    ),
    (
        "audit that never comes",
        {"audit": {"schedule": "every monday"}},
        "schedule",
    ),
]


@pytest.mark.parametrize(("values", "words"), [w[1:] for w in WRONG], ids=[w[0] for w in WRONG])
def test_refused_with_a_sentence(values: Object, words: str) -> None:
    with pytest.raises(Refused) as refusal:
        render(values)
    assert words in str(refusal.value)


def test_there_are_enough() -> None:
    assert len({name for name, _, _ in WRONG}) == len(WRONG) >= 40


def test_a_good_value_beside_each_wrong_one() -> None:
    """The parts that the wrong values are made of are themselves accepted."""
    render(_group())
    render(merged(_group(), _model(kind="echo", num_gpus=0.5, accelerator_type="A100")))
    render(_upgrade(gatewayClassName="istio"))
    render(_routes({"pattern": ".*", "model": "typography_focused"}))


@pytest.mark.parametrize("name", ["one-node-cpu", "one-a100", "multi-gpu", "locked-down"])
def test_typo_anywhere_in_an_example_is_refused(name: str) -> None:
    values = example(name)
    for path in _paths_of_maps(values):
        if _takes_any_key(path):
            continue
        with pytest.raises(Refused, match="surely_no_key"):
            render_text(_with_typo(values, path))


def _paths_of_maps(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(value, dict):
        return [path, *(p for k, v in value.items() for p in _paths_of_maps(v, (*path, k)))]
    if isinstance(value, list):
        return [p for i, v in enumerate(value) for p in _paths_of_maps(v, (*path, i))]
    return []


def _takes_any_key(path: tuple[Any, ...]) -> bool:
    return bool(path) and path[-1] in ("matchLabels", "nodeSelector", "labels", "models", "autoscaling")


def _with_typo(value: Any, path: tuple[Any, ...]) -> Any:
    if not path:
        return {**value, "surely_no_key": 1}
    if isinstance(value, dict):
        return {**value, path[0]: _with_typo(value[path[0]], path[1:])}
    return [_with_typo(v, path[1:]) if i == path[0] else v for i, v in enumerate(value)]

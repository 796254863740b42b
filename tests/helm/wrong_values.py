"""Values that are wrong by themselves: what is wrong, and words of the sentence that a user reads."""

from typing import Any

from tests.helm.rendering import Object, merged

Wrong = tuple[str, Object, str]

GROUP: Object = {
    "name": "gpu",
    "minReplicas": 0,
    "maxReplicas": 2,
    "gpu": {"count": 1, "resourceName": "nvidia.com/gpu", "acceleratorType": "A100"},
    "resources": {"cpu": 8, "memory": "64Gi"},
}
INCREMENTAL = "NewClusterWithIncrementalUpgrade"


def incremental(**options: Any) -> Object:
    return {"ray": {"upgrade": {"strategy": INCREMENTAL, "incremental": options}}}


def group(**changes: Any) -> Object:
    return {"workerGroups": [merged(GROUP, changes)]}


def model(**fields: Any) -> Object:
    return {"models": {"poster": fields}}


def hosted(**fields: Any) -> Object:
    return model(kind="openai_images", model="gpt-image-2", **fields)


def routes(*routes: Object) -> Object:
    return {"policy": {"document": {"model_routing": list(routes)}}}


WRONG_VALUES: list[Wrong] = [
    # Typos
    ("unknown key at the top", {"imagee": {}}, "imagee"),
    ("unknown key of the image", {"image": {"tagg": "1"}}, "tagg"),
    ("unknown key of ray", {"ray": {"autoscaling": {}}}, "autoscaling"),
    ("unknown key of a group", group(minReplica=1), "minReplica"),
    ("unknown key of a model", model(kind="echo", num_gpu=0.5), "num_gpu"),
    ("unknown kind of model", model(kind="difusion"), "/models/poster/kind"),
    ("model without a kind", model(num_gpus=1), "kind"),
    ("unknown key of the app", {"app": {"limit": {}}}, "limit"),
    (
        "unknown key of autoscaling",
        {"autoscaling": {"typography_focused": {"max_replica": 2}}},
        "max_replica",
    ),
    ("unknown key of a route", routes({"pattern": ".*", "modle": "x"}), "modle"),
    ("unknown peer", {"networkPolicy": {"clients": [{"namespace": "x"}]}}, "networkPolicy/clients"),
    ("policy of the app", {"app": {"policy": {"path": "/x"}}}, "policy"),
    # Wrong types and units
    ("memory without a unit", group(resources={"memory": "64"}), "memory"),
    ("memory in bytes", group(resources={"memory": 68719476736}), "memory"),
    ("memory in a wrong unit", group(resources={"memory": "64GB"}), "memory"),
    ("cpu in millicores without the m", group(resources={"cpu": "0.5k"}), "cpu"),
    ("replicas in quotes", group(minReplicas="1"), "minReplicas"),
    ("half a GPU of a pod", group(gpu={"count": 0.5}), "count"),
    (
        "resource that Ray would not read",
        group(gpu={"resourceName": "nvidia.com/mig-1g.5gb"}),
        "resourceName",
    ),
    ("seconds with a unit", {"ray": {"drainSeconds": "30s"}}, "drainSeconds"),
    (
        "percent as a ratio",
        incremental(gatewayClassName="istio", stepSizePercent=0.1),
        "stepSizePercent",
    ),
    (
        "percent over a hundred",
        incremental(gatewayClassName="istio", maxSurgePercent=150),
        "maxSurgePercent",
    ),
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
    ("incremental without a class", incremental(), "gatewayClassName"),
    (
        "incremental without an autoscaler",
        merged(incremental(gatewayClassName="istio"), {"ray": {"autoscaler": {"enabled": False}}}),
        "ray.autoscaler.enabled",
    ),
    (
        "step over the surge",
        incremental(gatewayClassName="istio", stepSizePercent=50, maxSurgePercent=20),
        "stepSizePercent 50 is greater than maxSurgePercent 20",
    ),
    ("interval of nothing", incremental(gatewayClassName="istio", intervalSeconds=0), "intervalSeconds"),
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
    ("key of a provider in the config", model(kind="ideogram", model="V_3", api_key="sk-1"), "api_key"),
    (
        "variable of a key that no pod has",
        model(kind="ideogram", model="V_3"),
        "models.poster takes its API key from the environment variable IDEOGRAM_API_KEY",
    ),
    (
        "key as plain text",
        {"ray": {"env": [{"name": "OPENAI_API_KEY", "value": "sk-1"}]}},
        "ray.env gives OPENAI_API_KEY as plain text",
    ),
    (
        "file of a key without a Secret",
        hosted(api_key={"file": "/etc/atelier/providers/openai"}),
        "providerKeys.existingSecret names no Secret",
    ),
    (
        "file of a key that nothing mounts",
        hosted(api_key={"file": "/run/secrets/openai"}),
        "is not in /etc/atelier/providers/",
    ),
    (
        "hosted model without a way out",
        merged(
            hosted(api_key={"file": "/etc/atelier/providers/openai"}),
            {"providerKeys": {"existingSecret": "keys"}},
        ),
        "networkPolicy.hostedApis is empty",
    ),
]

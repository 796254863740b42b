"""Values that are fine one by one and wrong together, or beside the rest of the release."""

from tests.helm.rendering import merged
from tests.helm.wrong_values import GROUP, Wrong, group, incremental, model, routes

WRONG_COMBINATIONS: list[Wrong] = [
    ("no models", {"models": {"typography_focused": None}}, "models"),
    ("minimum over maximum", group(minReplicas=3), "minReplicas 3 is greater than maxReplicas 2"),
    ("replicas outside", group(replicas=5), "replicas 5 is outside"),
    ("budget that blocks every drain", group(pdbMinAvailable=3), "pdbMinAvailable 3"),
    ("two groups of one name", {"workerGroups": [GROUP, GROUP]}, 'workerGroups names "gpu" twice'),
    ("no node for models", {"workerGroups": []}, "head.runsReplicas"),
    ("GPUs in resources", group(resources={"nvidia.com/gpu": 1}), "nvidia.com/gpu"),
    (
        "model autoscaling upside down",
        merged(group(), model(kind="echo", autoscaling={"min_replicas": 4, "max_replicas": 2})),
        "models.poster.autoscaling.min_replicas 4",
    ),
    (
        "one and a half GPUs",
        merged(group(gpu={"count": 2}), model(kind="echo", num_gpus=1.5)),
        "models.poster.num_gpus 1.5",
    ),
    ("GPU that no group has", model(kind="echo", num_gpus=1), "models.poster needs 1 GPU"),
    (
        "kind of GPU that no group has",
        merged(group(), model(kind="echo", num_gpus=1, accelerator_type="H100")),
        "accelerator_type H100",
    ),
    (
        "more GPUs than there are",
        merged(
            group(),
            model(kind="echo", num_gpus=1, autoscaling={"min_replicas": 3, "max_replicas": 3}),
        ),
        "models need 3 GPUs",
    ),
    ("more CPUs than a node has", model(kind="echo", num_cpus=64), "64 CPU"),
    (
        "autoscaling of an unknown model",
        {"autoscaling": {"nobody": {"max_replicas": 2}}},
        "autoscaling.nobody",
    ),
    ("route to an unknown model", routes({"pattern": ".*", "model": "nobody"}), '"nobody"'),
    (
        "stage of an unknown model",
        routes({"pattern": ".*", "stages": ["typography_focused", "nobody"]}),
        '"nobody"',
    ),
    (
        "fallback to an unknown model",
        routes({"pattern": ".*", "model": "typography_focused", "fallback": [{"model": "nobody"}]}),
        '"nobody"',
    ),
    ("two sources of the policy", {"policy": {"existingConfigMap": "mine"}}, "policy.existingConfigMap"),
    (
        "includes without files",
        {"policy": {"document": {"includes": ["more.yaml"]}}},
        "policy.document.includes",
    ),
    ("no policy", {"policy": {"document": None}}, "policy.document is empty"),
    ("hub id without a revision", model(kind="diffusion", weights="a/b"), "models.poster.revision"),
    (
        "hub id beside a cache",
        merged(
            model(kind="diffusion", weights="a/b", revision="0" * 40),
            {"modelCache": {"kind": "emptyDir"}},
        ),
        "models.poster.weights",
    ),
    (
        "weights that nobody fetches",
        merged(
            model(kind="diffusion", weights="/models/sdxl"),
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
        merged(incremental(gatewayClassName="istio"), {"ingress": {"enabled": True}}),
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

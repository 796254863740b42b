"""What must hold between the objects of one render, and in every pod: no single schema can see it.

Each check yields sentences; none means that all is well.
"""

from collections.abc import Iterator
from typing import Any

from tests.helm.rendering import NAMESPACE, Object, containers, pod_templates

# Labels that KubeRay puts on the pods it makes.
OPERATOR_LABELS = ("ray.io/group", "ray.io/cluster", "ray.io/node-type", "ray.io/is-ray-node")


def cross_checks(objects: list[Object], network_policies: bool = True) -> list[str]:
    found = [
        *_names(objects),
        *_containers(objects),
        *_pods(objects),
        *_volumes(objects),
        *_selectors(objects),
        *_ports(objects),
        *_accounts(objects),
        *_roles(objects),
    ]
    if network_policies:
        found += _covered_by_network_policies(objects)
    return found


def _names(objects: list[Object]) -> Iterator[str]:
    seen = set()
    for each in objects:
        key = (each["kind"], each["metadata"]["name"])
        if key in seen:
            yield f"{key} is rendered twice"
        seen.add(key)
        limit = {"RayService": 47, "Service": 63, "Job": 63, "CronJob": 52, "Pod": 63}.get(each["kind"], 253)
        if len(each["metadata"]["name"]) > limit:
            yield f"{key} is longer than {limit} characters"
        if each["kind"] != "PriorityClass" and each["metadata"].get("namespace") != NAMESPACE:
            yield f"{key} names no namespace or another one"
        for label, value in each["metadata"].get("labels", {}).items():
            if not isinstance(value, str) or len(value) > 63:
                yield f"{key}: label {label} is {value!r}"


def _containers(objects: list[Object]) -> Iterator[str]:
    for where, container, context in _all_containers(objects):
        name = f"{where}: {container.get('name', 'autoscaler')}"
        image = container.get("image", "")
        last = image.rsplit("/", 1)[-1]
        if image and "@sha256:" not in image and (":" not in last or last.endswith(":latest")):
            yield f"{name}: image {image} is not pinned"
        for kind in ("limits", "requests"):
            given = container.get("resources", {}).get(kind, {})
            if not {"cpu", "memory"} <= set(given):
                yield f"{name}: {kind} lack cpu or memory"
        limits, requests = container["resources"]["limits"], container["resources"]["requests"]
        if {k: v for k, v in limits.items() if "/" in k} != {k: v for k, v in requests.items() if "/" in k}:
            yield f"{name}: requests and limits of devices differ"
        expected = {
            "allowPrivilegeEscalation": False,
            "privileged": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
        }
        for key, value in expected.items():
            if context.get(key) is not value:
                yield f"{name}: {key} is {context.get(key)}"
        if context.get("capabilities") != {"drop": ["ALL"]}:
            yield f"{name}: capabilities are {context.get('capabilities')}"
        if context.get("seccompProfile") != {"type": "RuntimeDefault"}:
            yield f"{name}: seccompProfile is {context.get('seccompProfile')}"
        for entry in container.get("env", []):
            secretive = any(word in entry["name"].upper() for word in ("PASSWORD", "SECRET", "TOKEN"))
            if secretive and entry.get("value"):
                yield f"{name}: {entry['name']} is given as plain text"


def _all_containers(objects: list[Object]) -> Iterator[tuple[str, Object, Object]]:
    for where, pod in pod_templates(objects):
        for container in containers(pod):
            yield where, container, container.get("securityContext", {})
    for each in objects:
        if each["kind"] == "RayService":
            options = each["spec"]["rayClusterConfig"].get("autoscalerOptions")
            if options is not None:
                yield "autoscaler", options, options["securityContext"]


def _roles(objects: list[Object]) -> Iterator[str]:
    """A Role reads the policy and nothing else; bindings name Roles and accounts that are rendered."""
    rendered = {(o["kind"], o["metadata"]["name"]) for o in objects}
    read = {
        volume["configMap"]["name"]
        for _, pod in pod_templates(objects)
        for volume in pod["spec"].get("volumes", [])
        if volume["name"] == "policy"
    }
    for each in objects:
        where = f"{each['kind']} {each['metadata']['name']}"
        if each["kind"] == "Role":
            for rule in each["rules"]:
                if rule["resources"] != ["configmaps"] or set(rule.get("resourceNames", ())) != read:
                    yield f"{where}: allows more than to read the policy: {rule}"
                if not set(rule["verbs"]) <= {"get", "list", "watch"}:
                    yield f"{where}: allows {rule['verbs']}"
        if each["kind"] == "RoleBinding":
            for named in (each["roleRef"], *each["subjects"]):
                if (named["kind"], named["name"]) not in rendered:
                    yield f"{where}: names {named['kind']} {named['name']}, which is not rendered"


def _bound_accounts(objects: list[Object]) -> set[str]:
    bindings = [o for o in objects if o["kind"] == "RoleBinding"]
    return {subject["name"] for binding in bindings for subject in binding["subjects"]}


def _pods(objects: list[Object]) -> Iterator[str]:
    bound = _bound_accounts(objects)
    for where, pod in pod_templates(objects):
        spec = pod["spec"]
        context = spec.get("securityContext", {})
        if context.get("runAsNonRoot") is not True or not context.get("runAsUser"):
            yield f"{where}: may run as root"
        if spec.get("hostNetwork") or spec.get("hostPID") or spec.get("hostIPC"):
            yield f"{where}: shares a namespace of the node"
        if spec.get("enableServiceLinks") is not False:
            yield f"{where}: service links would become settings"
        token = spec.get("automountServiceAccountToken")
        if token and not where.endswith("/head") and spec["serviceAccountName"] not in bound:
            yield f"{where}: mounts a token of the Kubernetes API that it may use for nothing"
        if spec["serviceAccountName"] in bound and not token:
            yield f"{where}: may use the Kubernetes API, but has no token"
        if "serve" in {p["name"] for c in spec["containers"] for p in c.get("ports", [])}:
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                if probe not in spec["containers"][0]:
                    yield f"{where}: has no {probe}"


def _volumes(objects: list[Object]) -> Iterator[str]:
    """Mounts have volumes, volumes are used, and what they name is rendered."""
    configmaps = {o["metadata"]["name"]: set(o["data"]) for o in objects if o["kind"] == "ConfigMap"}
    for where, pod in pod_templates(objects):
        volumes = {volume["name"]: volume for volume in pod["spec"].get("volumes", [])}
        mounted = {m["name"] for c in containers(pod) for m in c.get("volumeMounts", [])}
        for name in mounted - set(volumes):
            yield f"{where}: mounts {name}, which is no volume"
        for name in set(volumes) - mounted:
            yield f"{where}: volume {name} is mounted nowhere"
        for container in containers(pod):
            paths = {mount["mountPath"] for mount in container.get("volumeMounts", [])}
            writes_tmp = container["name"] != "otel-collector"
            if writes_tmp and "/tmp" not in paths:
                yield f"{where}: {container['name']} has a read-only root and nowhere to write"
        for name, volume in volumes.items():
            source = volume.get("configMap")
            if source and source["name"] in configmaps:
                for item in source.get("items", []):
                    if item["key"] not in configmaps[source["name"]]:
                        yield f"{where}: volume {name} wants key {item['key']}, which is not there"
            elif source and name not in ("policy", "audit"):
                yield f"{where}: volume {name} names ConfigMap {source['name']}, which is not rendered"
            if "emptyDir" in volume and "sizeLimit" not in volume["emptyDir"]:
                yield f"{where}: volume {name} may fill the node's disk"


def _selectors(objects: list[Object]) -> Iterator[str]:
    pods = [pod["metadata"]["labels"] for _, pod in pod_templates(objects)]
    for each in objects:
        where = f"{each['kind']} {each['metadata']['name']}"
        for selector in _pod_selectors(each):
            if not any(matches(selector, labels) for labels in pods):
                yield f"{where}: selects no pod of the release: {selector}"
        if each["kind"] == "ServiceMonitor":
            yield from _monitored_service(where, each, objects)
        if each["kind"] == "Deployment":
            labels = each["spec"]["template"]["metadata"]["labels"]
            if not matches(each["spec"]["selector"], labels):
                yield f"{where}: does not select its own pods"


def _monitored_service(where: str, each: Object, objects: list[Object]) -> Iterator[str]:
    services = [
        o
        for o in objects
        if o["kind"] == "Service" and matches(each["spec"]["selector"], o["metadata"]["labels"])
    ]
    if len(services) != 1:
        yield f"{where}: selects {len(services)} Services"
    offered = {port["name"] for service in services for port in service["spec"]["ports"]}
    for endpoint in each["spec"]["endpoints"]:
        if endpoint["port"] not in offered:
            yield f"{where}: port {endpoint['port']} is offered by no Service"


def _pod_selectors(each: Object) -> Iterator[Object]:
    match each["kind"]:
        case "Service":
            yield {"matchLabels": each["spec"]["selector"]}
        case "PodMonitor" | "PodDisruptionBudget":
            yield each["spec"]["selector"]


def matches(selector: Object, labels: dict[str, str]) -> bool:
    """Labels that only the operator sets are taken to match."""
    wanted = {k: v for k, v in selector.get("matchLabels", {}).items() if k not in OPERATOR_LABELS}
    if any(labels.get(key) != value for key, value in wanted.items()):
        return False
    return all(
        labels.get(rule["key"]) in rule["values"]
        for rule in selector.get("matchExpressions", [])
        if rule["operator"] == "In"
    )


def _ports(objects: list[Object]) -> Iterator[str]:
    pods = [pod for _, pod in pod_templates(objects)]
    for each in objects:
        where = f"{each['kind']} {each['metadata']['name']}"
        for selector in _pod_selectors(each):
            chosen = [pod for pod in pods if matches(selector, pod["metadata"]["labels"])]
            offered = {
                p["name"] for pod in chosen for c in pod["spec"]["containers"] for p in c.get("ports", [])
            }
            for port in _named_ports(each):
                if port not in offered:
                    yield f"{where}: port {port} is offered by no pod"
    for where, pod in pod_templates(objects):
        for container in pod["spec"]["containers"]:
            names = {port["name"] for port in container.get("ports", [])}
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                port = container.get(probe, {}).get("httpGet", {}).get("port")
                if isinstance(port, str) and port not in names:
                    yield f"{where}: {probe} asks port {port}, which is not declared"


def _named_ports(each: Object) -> Iterator[str]:
    if each["kind"] == "Service":
        yield from (port["targetPort"] for port in each["spec"]["ports"])
    if each["kind"] == "PodMonitor":
        yield from (endpoint["port"] for endpoint in each["spec"]["podMetricsEndpoints"])


def _accounts(objects: list[Object]) -> Iterator[str]:
    accounts = {o["metadata"]["name"] for o in objects if o["kind"] == "ServiceAccount"}
    used = set()
    for where, pod in pod_templates(objects):
        account = pod["spec"].get("serviceAccountName")
        used.add(account)
        if account not in accounts:
            yield f"{where}: service account {account} is not rendered"
    for name in accounts - used:
        if not name.endswith(("-worker", "-job")):  # workers may be none, jobs come and go
            yield f"service account {name} is used by no pod"


def _covered_by_network_policies(objects: list[Object]) -> Iterator[str]:
    policies = [o["spec"] for o in objects if o["kind"] == "NetworkPolicy"]
    for where, pod in pod_templates(objects):
        labels = pod["metadata"]["labels"]
        own = [policy for policy in policies if matches(policy["podSelector"], labels)]
        denied: set[Any] = {kind for policy in own for kind in policy["policyTypes"]}
        if denied != {"Ingress", "Egress"}:
            yield f"{where}: network policies leave open all but {sorted(denied)}"
        rules = [rule for policy in own for rule in policy.get("egress", [])]
        if not any(port["port"] == 53 for rule in rules for port in rule.get("ports", [])):
            yield f"{where}: cannot resolve names"
        for rule in rules + [rule for policy in own for rule in policy.get("ingress", [])]:
            if not rule.get("to") and not rule.get("from"):
                yield f"{where}: a network policy lets everybody through"

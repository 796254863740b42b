"""What KubeRay says of a RayService: ready or not, what an upgrade does, which deployments are healthy.

Reads `status` of the custom resource (ray.io/v1, KubeRay 1.7). Knows nothing of what is served.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kubernetes import client as kubernetes_client

from deployments.starting import brief_reason
from serve.kubernetes_api import CONNECT_TIMEOUT_S, FAILURES, ClusterError, brief

CHART_LABEL = "app.kubernetes.io/name=atelier"


@dataclass(frozen=True, slots=True)
class Condition:
    type: str
    status: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Cluster:
    """One Ray cluster of a service. `capacity_percent` and `traffic_percent` move during an incremental
    upgrade; None otherwise. `deployments` by name: Ray Serve's status."""

    name: str
    state: str
    ready_workers: int
    desired_workers: int
    capacity_percent: int | None
    traffic_percent: int | None
    deployments: Mapping[str, str]
    complaints: Sequence[str]


@dataclass(frozen=True, slots=True)
class RayServiceStatus:
    """`pending` is the cluster that an upgrade starts, None without one."""

    namespace: str
    name: str
    conditions: Sequence[Condition]
    active: Cluster | None
    pending: Cluster | None
    endpoints: int

    @property
    def is_ready(self) -> bool:
        return any(each.type == "Ready" and each.status == "True" for each in self.conditions)

    @property
    def is_upgrading(self) -> bool:
        condition = any(
            each.type == "UpgradeInProgress" and each.status == "True" for each in self.conditions
        )
        return condition or self.pending is not None


def read_rayservice(client: Any, namespace: str, name: str | None, timeout_s: float) -> RayServiceStatus:
    """The one named, or the only one of this chart in the namespace. Raises ClusterError."""
    api = kubernetes_client.CustomObjectsApi(client)
    try:
        answer = api.list_namespaced_custom_object(
            *("ray.io", "v1", namespace, "rayservices"),
            label_selector="" if name else CHART_LABEL,
            _request_timeout=(min(CONNECT_TIMEOUT_S, timeout_s), timeout_s),
        )
    except FAILURES as error:
        raise ClusterError(_why(error, namespace)) from None
    return parse_status(_chosen(answer.get("items", []), namespace, name))


def _chosen(items: Sequence[Mapping[str, Any]], namespace: str, name: str | None) -> Mapping[str, Any]:
    names = [item["metadata"]["name"] for item in items]
    if name is not None and name not in names:
        raise ClusterError(
            f"namespace {namespace} has no RayService {name!r}; it has {', '.join(names) or 'none'}"
        )
    if not names:
        raise ClusterError(
            f"namespace {namespace} has no RayService of this chart: say --namespace, or --name"
        )
    if name is None and len(names) > 1:
        raise ClusterError(f"namespace {namespace} has several RayServices: say --name {' or '.join(names)}")
    return items[0 if name is None else names.index(name)]


def _why(error: BaseException, namespace: str) -> str:
    match getattr(error, "status", None):
        case 404:
            return "the cluster has no RayServices (ray.io/v1): install the CRDs of KubeRay 1.7 or later"
        case 401 | 403:
            return (
                f"RayServices cannot be listed in namespace {namespace}: {brief(error)}; the account needs a "
                "Role with `list` on rayservices.ray.io"
            )
    return f"RayServices cannot be listed: {brief(error)}"


def parse_status(resource: Mapping[str, Any]) -> RayServiceStatus:
    status = resource.get("status") or {}
    return RayServiceStatus(
        namespace=resource["metadata"]["namespace"],
        name=resource["metadata"]["name"],
        conditions=[
            Condition(each["type"], each["status"], each.get("reason", ""), each.get("message", ""))
            for each in status.get("conditions") or []
        ],
        active=_cluster(status.get("activeServiceStatus")),
        pending=_cluster(status.get("pendingServiceStatus")),
        endpoints=status.get("numServeEndpoints", 0),
    )


def _cluster(part: Mapping[str, Any] | None) -> Cluster | None:
    """None where KubeRay writes an empty status: there is no such cluster."""
    if not part or not part.get("rayClusterName"):
        return None
    ray = part.get("rayClusterStatus") or {}
    applications = part.get("applicationStatuses") or {}
    parts = [
        (name, each)
        for application in applications.values()
        for name, each in (application.get("serveDeploymentStatuses") or {}).items()
    ]
    said = [(name, each) for name, each in (*applications.items(), *parts) if each.get("message")]
    return Cluster(
        name=part["rayClusterName"],
        state=ray.get("state") or "starting",
        ready_workers=ray.get("readyWorkerReplicas", 0),
        desired_workers=ray.get("desiredWorkerReplicas", 0),
        capacity_percent=part.get("targetCapacity"),
        traffic_percent=part.get("trafficRoutedPercent"),
        deployments={name: each.get("status", "") for name, each in parts},
        complaints=[f"{name}: {brief_reason(each['message'])}" for name, each in said],
    )

"""`atelier status`: the RayService, its models and replicas, the policy in force, and how budgets are met.

Exit status: 0 when all is well, 1 when something is not (said under "Problems"), 2 for a wrong command line.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from kubernetes import config as kubernetes_config
from rich.console import Console

from serve.cli.application import Application, Unreachable, at_url, read_application, through_cluster
from serve.cli.rayservice import RayServiceStatus, read_rayservice
from serve.cli.status_view import show
from serve.kubernetes_api import ClusterError, open_client

_INPUT_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


@dataclass(frozen=True, slots=True)
class Status:
    """`service` and `application` are None where they could not be asked; `problems` says why, and what else
    is wrong."""

    service: RayServiceStatus | None
    application: Application | None
    problems: Sequence[str]


@click.command()
@click.option("--namespace", "-n", help="Default: that of the kubeconfig's context, or of the pod.")
@click.option("--name", help="Of the RayService, where there are several.")
@click.option("--kubeconfig", type=_INPUT_FILE, help="Default: that of kubectl, or the pod's account.")
@click.option("--context", help="Of the kubeconfig.")
@click.option("--url", help="Of the application. Default: its Service, through the Kubernetes API.")
@click.option("--api-key-file", type=_INPUT_FILE, help="For --url: a file with one API key.")
@click.option("--timeout-s", default=10.0, show_default=True, type=click.FloatRange(0.1, 600))
@click.option(
    "--min-attainment",
    default=0.99,
    show_default=True,
    type=click.FloatRange(0, 1),
    help="A route below this share of budgets met is a problem.",
)
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def status(
    namespace: str | None,
    name: str | None,
    kubeconfig: Path | None,
    context: str | None,
    url: str | None,
    api_key_file: Path | None,
    timeout_s: float,
    min_attainment: float,
    as_json: bool,
) -> None:
    """Show how a release on Kubernetes does."""
    if api_key_file is not None and url is None:
        raise click.UsageError("--api-key-file needs --url: keys cannot travel through the Kubernetes API")
    api_key = api_key_file.read_text().strip() if api_key_file else None
    problems: list[str] = []
    service, application = None, None
    try:
        client = open_client(str(kubeconfig) if kubeconfig else None, context)
        space = namespace or _default_namespace(kubeconfig, context)
        service = read_rayservice(client, space, name, timeout_s)
    except ClusterError as error:
        problems.append(str(error))
    try:
        if url is not None:
            application = read_application(at_url(url, api_key, timeout_s))
        elif service is not None:
            entry = f"{service.name}-serve-svc"
            application = read_application(through_cluster(client, service.namespace, entry, timeout_s))
    except Unreachable as error:
        problems.append(str(error))
    found = Status(service, application, problems + _problems(service, application, min_attainment))
    if as_json:
        click.echo(json.dumps(as_document(found), indent=2))
    else:
        show(found.service, found.application, found.problems, Console(highlight=False))
    if found.problems:
        raise click.exceptions.Exit(1)


def as_document(found: Status) -> Mapping[str, Any]:
    service, application = found.service, found.application
    return {
        "rayservice": None
        if service is None
        else {
            **dataclasses.asdict(service),
            "ready": service.is_ready,
            "upgrading": service.is_upgrading,
        },
        "fleet": None if application is None else application.fleet,
        "policy": None if application is None else application.policy,
        "problems": list(found.problems),
    }


def _problems(
    service: RayServiceStatus | None, application: Application | None, min_attainment: float
) -> list[str]:
    found: list[str] = []
    if service is not None:
        found += _of_service(service)
    if application is not None:
        found += _of_application(application, min_attainment)
    return found


def _of_service(service: RayServiceStatus) -> list[str]:
    found = []
    if not service.is_ready:
        reasons = "; ".join(each.message for each in service.conditions if each.type == "Ready")
        found.append(f"RayService {service.name} is not ready{': ' + reasons if reasons else ''}")
    for cluster in (service.active, service.pending):
        if cluster is not None:
            found += [f"{cluster.name}: {complaint}" for complaint in cluster.complaints]
            if cluster is service.active and cluster.ready_workers < cluster.desired_workers:
                found.append(
                    f"{cluster.name}: {cluster.ready_workers} of {cluster.desired_workers} workers are ready"
                )
    return found


def _of_application(application: Application, min_attainment: float) -> list[str]:
    found = []
    for name, model in application.fleet["models"].items():
        if not model.get("up", True):
            found.append(f"model {name}: no replica is up, requests go to the next candidate")
        if model["breaker"] != "closed":
            found.append(f"model {name}: breaker is {model['breaker']}, requests go to the next candidate")
    for route, budget in application.fleet["budgets"]["routes"].items():
        if budget["met_ratio"] < min_attainment:
            found.append(
                f"route {route}: {budget['met_ratio']:.1%} of {budget['requests']} requests met their budget"
            )
    if application.policy["refused"] is not None:
        found.append(f"policy: the newest text was refused: {application.policy['refused']['problems'][0]}")
    return found


def _default_namespace(kubeconfig: Path | None, context: str | None) -> str:
    """As kubectl takes it."""
    if _NAMESPACE_FILE.is_file() and kubeconfig is None and context is None:
        return _NAMESPACE_FILE.read_text().strip()
    contexts, active = kubernetes_config.list_kube_config_contexts(str(kubeconfig) if kubeconfig else None)
    chosen = next((each for each in contexts if each["name"] == context), active)
    return str(chosen["context"].get("namespace") or "default")

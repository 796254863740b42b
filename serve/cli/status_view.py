"""How `atelier status` looks in a terminal."""

from collections.abc import Sequence
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table

from serve.cli.application import Application
from serve.cli.rayservice import Cluster, RayServiceStatus


def show(
    service: RayServiceStatus | None,
    application: Application | None,
    problems: Sequence[str],
    console: Console,
) -> None:
    if service is not None:
        _show_service(service, console)
    if application is not None:
        _show_policy(application, console)
        console.print(_models(service, application), _budgets(application))
    for problem in problems:
        console.print(f"[red]problem[/]: {_plain(problem)}", soft_wrap=True)


def _show_service(service: RayServiceStatus, console: Console) -> None:
    state = "[green]ready[/]" if service.is_ready else "[red]not ready[/]"
    console.print(f"RayService {service.namespace}/{service.name}: {state}, {service.endpoints} endpoints")
    for each in service.conditions:
        console.print(f"  {_plain(each.type)}: {each.status} ({_plain(each.reason)})", soft_wrap=True)
    for role, cluster in (("active", service.active), ("pending", service.pending)):
        if cluster is not None:
            console.print(f"  {role}: {_cluster(cluster)}", soft_wrap=True)


def _cluster(cluster: Cluster) -> str:
    parts = [
        f"{cluster.name}, {cluster.state}, {cluster.ready_workers} of {cluster.desired_workers} workers ready"
    ]
    if cluster.capacity_percent is not None:
        parts.append(f"capacity {cluster.capacity_percent}%")
    if cluster.traffic_percent is not None:
        parts.append(f"traffic {cluster.traffic_percent}%")
    return _plain(", ".join(parts))


def _show_policy(application: Application, console: Console) -> None:
    policy = application.policy
    loaded = datetime.fromtimestamp(policy["loaded_at_s"], UTC).isoformat(timespec="seconds")
    console.print(
        f"Policy {policy['version']} from {_plain(policy['source'])}, in force since {loaded}, "
        f"{policy['route_count']} routes",
        soft_wrap=True,
    )


def _models(service: RayServiceStatus | None, application: Application) -> Table:
    table = Table(title="Models", title_justify="left")
    table.add_column("model", no_wrap=True)
    table.add_column("state")
    for heading in ("replicas", "running", "waiting"):
        table.add_column(heading, justify="right")
    table.add_column("breaker")
    statuses = service.active.deployments if service is not None and service.active is not None else {}
    for name, model in sorted(application.fleet["models"].items()):
        waiting = model["queued"] + model["waiting"]
        counts = (str(count) for count in (model["replicas"], model["running"], waiting))
        table.add_row(name, statuses.get(name, "unknown"), *counts, model["breaker"])
    return table


def _budgets(application: Application) -> Table:
    """As one router replica saw them: the title says of how many."""
    budgets, routers = application.fleet["budgets"], application.fleet["routers"]
    seen = "" if routers == 1 else f", as one of {routers} routers saw it"
    table = Table(
        title=f"Budgets met in the last {budgets['window_s'] / 60:g} minutes{seen}", title_justify="left"
    )
    table.add_column("route", no_wrap=True)
    for heading in ("requests", "met"):
        table.add_column(heading, justify="right")
    for route, each in budgets["routes"].items():
        table.add_row(route, str(each["requests"]), f"{each['met_ratio']:.1%}")
    return table


def _plain(text: str) -> str:
    """Text of others may hold what rich reads as markup."""
    return text.replace("[", "\\[")

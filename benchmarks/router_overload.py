"""Half as much again as the model can do: who keeps the promise that was made by admitting a request?

One model of known speed on a real Ray Serve: 8 images at once, 200 ms each, 40 a second. 2,000 requests
arrive at 60 a second, Poisson, each with a budget of one second. Baselines: the same model behind a bare
ingress, with Ray Serve's own bound on the queue (`max_queued_requests`) at none, and at what is
right for this model, this budget and this many places, which an operator would have to know beforehand.
"""

import asyncio
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.known_load import arrivals_s, free_port, offer, oracle_in_time, quantile_ms, start_bare_app
from benchmarks.tables import show
from loadtests.observation import Observation
from serve.cli.local import serving
from serve.config import parse_config
from serve.proxies import Proxy

PLACES, SERVICE_MS, BUDGET_MS = 8, 200.0, 1000.0
REQUESTS, RATE = 2000, 1.5 * PLACES / SERVICE_MS * 1000
RIGHT_QUEUE = int((BUDGET_MS / SERVICE_MS - 1) * PLACES) - PLACES  # one round less: answering takes time too
MODEL: dict[str, Any] = {
    "kind": "echo",
    "num_cpus": 0.1,
    "latency_ms": SERVICE_MS,
    "concurrency": PLACES,
    "max_ongoing_requests": PLACES + 2,
}

WARM_UP_S = arrivals_s(20, 40, seed=1)
"""Connections and code are warm before anything is measured."""

IN_BUDGET_MIN, REFUSAL_P99_MAX_MS, GOODPUT_MIN = 0.99, 20.0, 0.9
OVERSHOOT_MAX_MS = SERVICE_MS + 50


def row(name: str, seen: list[Observation], oracle: int) -> tuple[list[str], bool]:
    answered = [each for each in seen if each.answer.ok or each.answer.status == 504]
    refused = [each for each in seen if each.answer.status in (429, 503)]
    in_time = sum(each.answer.ok and each.latency_ms <= BUDGET_MS for each in answered)
    share = in_time / len(answered)
    overshoot_ms = max(0.0, max(each.latency_ms for each in answered) - BUDGET_MS)
    refusal_ms = quantile_ms(refused, 0.99)
    goodput = in_time / oracle
    cells = [
        name,
        f"{len(answered)}",
        f"{share:.1%}",
        f"{overshoot_ms:.0f}",
        f"{len(refused)}",
        f"{refusal_ms:.1f}",
        f"{goodput:.1%}",
        f"{len(seen) - len(answered) - len(refused)}",
    ]
    met = share >= IN_BUDGET_MIN and overshoot_ms <= OVERSHOOT_MAX_MS and goodput >= GOODPUT_MIN
    return cells, met and refusal_ms <= REFUSAL_P99_MAX_MS and len(answered) + len(refused) == len(seen)


def main() -> bool:
    """Prints the table; True when Atelier behind HAProxy meets every bar."""
    port = free_port()
    config = parse_config(
        {
            "models": {"m": MODEL},
            "policy": {"text": f"default: {{model: m, max_latency_ms: {BUDGET_MS:.0f}}}"},
            "router": {"num_cpus": 0.1},
        }
    )
    due_s = arrivals_s(RATE, REQUESTS, seed=7)
    oracle = oracle_in_time(due_s, PLACES, SERVICE_MS / 1000, BUDGET_MS / 1000)
    table = Table(
        "", "admitted", "in budget", "latest, ms over", "refused", "p99 of refusals, ms", "goodput of oracle",
        "other", title=f"{REQUESTS} requests at {RATE:.0f}/s, capacity {RATE / 1.5:.0f}/s",
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    with serving(config, "127.0.0.1", port, Console(quiet=True)):
        start_bare_app("unbounded", MODEL, -1)
        start_bare_app("bounded", MODEL, RIGHT_QUEUE)
        for path in ("", "/unbounded", "/bounded"):
            asyncio.run(offer(url + path, WARM_UP_S))
        for name, path in (
            ("bare Ray Serve, no bound on the queue", "/unbounded"),
            (f"bare Ray Serve, max_queued_requests: {RIGHT_QUEUE}", "/bounded"),
        ):
            table.add_row(*row(name, asyncio.run(offer(url + path, due_s)), oracle)[0])
        table.add_row(*row("Atelier", asyncio.run(offer(url, due_s)), oracle)[0])
    with serving(config, "127.0.0.1", port, Console(quiet=True), proxy=Proxy.HAPROXY):
        asyncio.run(offer(url, WARM_UP_S))
        cells, met = row("Atelier, --proxy haproxy", asyncio.run(offer(url, due_s)), oracle)
        table.add_row(*cells)
    in_budget, goodput = f">= {IN_BUDGET_MIN:.0%}", f">= {GOODPUT_MIN:.0%}"
    latest, refusals = f"<= {OVERSHOOT_MAX_MS:.0f}", f"<= {REFUSAL_P99_MAX_MS:.0f}"
    table.add_row("bar", "", in_budget, latest, "", refusals, goodput, "0")
    show(table)
    return met


if __name__ == "__main__":
    raise SystemExit(not main())

"""A tenant that floods: what do the others feel of it?

One model on a real Ray Serve: two replicas, 16 images at once in all, 800 ms each, 20 a second. Tenant
`steady` sends 5 a second. Then the same again while tenant `flood` sends ten times its share of the model,
100 a second. Baseline: the same model behind a bare ingress, where nobody knows of tenants.
"""

import asyncio
import hashlib
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.known_load import arrivals_s, free_port, offer, quantile_ms, start_bare_app, together
from benchmarks.tables import show
from loadtests.observation import Observation
from serve.cli.local import serving
from serve.config import parse_config

PLACES, SERVICE_MS = 16, 800.0
SHARE = PLACES / SERVICE_MS * 1000 / 2
STEADY_RATE, FLOOD_RATE, SECONDS = SHARE / 2, 10 * SHARE, 40
P99_RATIO_MAX = 1.2
MODEL: dict[str, Any] = {
    "kind": "echo",
    "num_cpus": 0.1,
    "latency_ms": SERVICE_MS,
    "concurrency": PLACES // 2,
    "max_ongoing_requests": PLACES // 2,
    "max_queued_requests": 64,
    "autoscaling": {"min_replicas": 2, "max_replicas": 2},
}


def measure(
    url: str, steady: Mapping[str, str], flood: Mapping[str, str]
) -> tuple[list[Observation], list[Observation]]:
    """What the steady tenant saw alone, and beside the flood, which begins 5 s earlier."""

    async def both() -> list[list[Observation]]:
        flooding = asyncio.create_task(
            offer(url, arrivals_s(FLOOD_RATE, int(FLOOD_RATE * (SECONDS + 5)), 2), flood)
        )
        await asyncio.sleep(5)
        beside = await offer(url, due_s, steady)
        return [beside, await flooding]

    due_s = arrivals_s(STEADY_RATE, int(STEADY_RATE * SECONDS), seed=1)
    (alone,) = asyncio.run(together(offer(url, due_s, steady)))
    beside, _ = asyncio.run(both())
    return alone, beside


def main() -> bool:
    """Prints the table; True when Atelier meets the bar."""
    port = free_port()
    keys = {name: f"{name}-key" for name in ("steady", "flood")}
    table = Table(title=f"steady tenant, {STEADY_RATE:.0f}/s, beside a flood of {FLOOD_RATE:.0f}/s")
    for column in ("", "alone, p50 ms", "alone, p99", "beside, p50", "beside, p99", "p99 ratio", "answered"):
        table.add_column(column)
    with tempfile.TemporaryDirectory() as folder:
        lines = [f"{name}:{hashlib.sha256(key.encode()).hexdigest()}" for name, key in keys.items()]
        (Path(folder) / "keys").write_text("\n".join(lines) + "\n")
        config = parse_config(
            {
                "models": {"m": MODEL},
                "policy": {"text": "default: {model: m, max_latency_ms: 10000}"},
                "router": {"num_cpus": 0.1},
                "auth": {"keys_file": str(Path(folder) / "keys")},
            }
        )
        headers = {name: {"authorization": f"Bearer {key}"} for name, key in keys.items()}
        with serving(config, "127.0.0.1", port, Console(quiet=True)):
            start_bare_app("bare", MODEL, 64)
            met = False
            for name, path in (("bare Ray Serve (baseline)", "/bare"), ("Atelier", "")):
                url = f"http://127.0.0.1:{port}{path}"
                alone, beside = measure(url, headers["steady"], headers["flood"])
                answered = [each for each in beside if each.answer.ok]
                ratio = quantile_ms(answered, 0.99) / quantile_ms(alone, 0.99)
                met = ratio <= P99_RATIO_MAX and len(answered) == len(beside)
                table.add_row(
                    name,
                    *(f"{quantile_ms(seen, q):.0f}" for seen in (alone, answered) for q in (0.5, 0.99)),
                    f"{ratio:.2f}",
                    f"{len(answered) / len(beside):.1%}",
                )
    table.add_row("bar", "", "", "", "", f"<= {P99_RATIO_MAX}", "100%")
    show(table)
    return met


if __name__ == "__main__":
    raise SystemExit(not main())

"""What hostile uploads cost: `python -m benchmarks uploads`.

A server in a process of its own, asked over loopback by one client: bombs, files cut off, wrong types, huge
dimensions, odd modes, forms that are hostile themselves. Bars: each is refused within 200 ms, and the
server's resident memory never grows by more than 50 MB. Beside it, as the baseline, what good pictures cost,
up to the largest that is accepted.
"""

import asyncio
import http.client
import multiprocessing
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from rich.table import Table

from benchmarks import tables
from benchmarks.known_load import free_port
from benchmarks.router_reloads import ready
from tests.serve.gateways import gateway
from tests.serve.hostile.forms import EDITS, PROMPT, Upload, form, hostile_uploads
from tests.serve.hostile.parts import noise, png, saved

BAR_MS = 200.0
BAR_BYTES = 50_000_000


@dataclass(frozen=True, slots=True)
class Cost:
    """Of a run of uploads. Bytes are the server's, above what it held before: afterwards, and at its peak."""

    count: int
    refused: int
    slowest_ms: float
    slowest: str
    grown_bytes: int
    peak_bytes: int


def main() -> bool:
    """False when a bar is missed."""
    prepared = list(hostile_uploads())
    with server() as (host, pid):
        sent(host, pid, [good("warm-up", 64, 48)] * 20)
        small = sent(host, pid, [good("64x48", 64, 48)] * 20)
        hostile = sent(host, pid, prepared)
        large = sent(host, pid, [good("3840x2160", 3840, 2160), noisy("2000x1800, 11 MB", 2000, 1800)])
    table = Table("uploads", "sent", "refused", "slowest ms", "slowest", "peak MB", "afterwards MB")
    for name, cost in (("hostile", hostile), ("good, small (baseline)", small), ("good, large", large)):
        memory = (f"{cost.peak_bytes / 1e6:.1f}", f"{cost.grown_bytes / 1e6:.1f}")
        table.add_row(
            name, f"{cost.count}", f"{cost.refused}", f"{cost.slowest_ms:.1f}", cost.slowest, *memory
        )
    table.add_row("bar", "at least 200", "all", f"{BAR_MS:.0f}", "", f"{BAR_BYTES / 1e6:.0f}", "")
    tables.show(table)
    is_refused = hostile.refused == hostile.count >= 200
    return is_refused and hostile.slowest_ms <= BAR_MS and hostile.peak_bytes <= BAR_BYTES


@contextmanager
def server() -> Iterator[tuple[str, int]]:
    """Its address and process id."""
    port = free_port()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(port,), daemon=True)
    process.start()
    try:
        assert process.pid is not None
        asyncio.run(ready([f"http://127.0.0.1:{port}"]))
        yield f"127.0.0.1:{port}", process.pid
    finally:
        process.terminate()
        process.join()


def serve(port: int) -> None:
    models = {"editor": {"kind": "echo", "capability": "edit"}}
    app = gateway("default: {model: editor}", models).app
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="critical")


def good(name: str, width: int, height: int) -> Upload:
    return Upload(name, EDITS, form(PROMPT, ("image", "a.png", png(width, height))))


def noisy(name: str, width: int, height: int) -> Upload:
    file = saved(noise(width, height), "PNG", compress_level=1)
    return Upload(name, EDITS, form(PROMPT, ("image", "a.png", file)))


def sent(host: str, pid: int, uploads: Iterable[Upload]) -> Cost:
    """One after the other over one connection."""
    connection = http.client.HTTPConnection(host, timeout=60)
    Path(f"/proc/{pid}/clear_refs").write_text("5")  # begins a new peak
    before_bytes = resident_bytes(pid, "VmRSS")
    count, refused, slowest = 0, 0, (0.0, "")
    for upload in uploads:
        headers = {"content-type": upload.content_type} if upload.content_type else {}
        started = time.perf_counter()
        connection.request("POST", upload.path, upload.body, headers)
        answer = connection.getresponse()
        answer.read()
        slowest = max(slowest, ((time.perf_counter() - started) * 1000, upload.name))
        count, refused = count + 1, refused + (400 <= answer.status < 500)
    connection.close()
    peak_bytes = resident_bytes(pid, "VmHWM") - before_bytes
    return Cost(count, refused, *slowest, resident_bytes(pid, "VmRSS") - before_bytes, peak_bytes)


def resident_bytes(pid: int, field: str) -> int:
    """VmRSS: now. VmHWM: the most since the process began, or since clear_refs was written to."""
    found = re.search(rf"{field}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


if __name__ == "__main__":
    raise SystemExit(not main())

"""The real application without Ray, in a process that a test may kill: FOLDER CONCURRENCY JOURNAL LEASE_S.

Prints its port once it listens. Writes its process id and the seed of every render that
ends into FOLDER/rendered.
"""

import asyncio
import os
import socket
import sys
from pathlib import Path

import uvicorn

from deployments.types import RenderRequest, RenderResult
from tests.serve.gateways import echo, gateway


def main(folder: Path, concurrency: int, journal: str, lease_s: float) -> None:
    rendered = (folder / "rendered").open("a")
    model = echo("creative_highfidelity", latency_ms=50)

    async def render(request: RenderRequest) -> RenderResult:
        result = await model.render(request)
        rendered.write(f"{os.getpid()} {request.seed}\n")
        rendered.flush()
        return result

    batches = {
        "folder": str(folder / "batches"),
        "concurrency": concurrency,
        "lease_s": lease_s,
        "journal": journal,
    }
    of = gateway(renders={"creative_highfidelity": render}, batches=batches)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        print(listening.getsockname()[1], flush=True)
        server = uvicorn.Server(uvicorn.Config(of.app, log_level="warning"))
        asyncio.run(server.serve([listening]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], float(sys.argv[4]))

"""A Ray of one's own with a dashboard, run as a process: prints its addresses, ends when its input ends.

A process, so that token auth and the working directory are its own, as in a pod. Usage: local_ray.py
DASHBOARD_PORT METRICS_PORT.
"""

import json
import sys


def main(arguments: list[str]) -> None:
    import ray

    dashboard_port, metrics_port = map(int, arguments)
    ray.init(
        address="local",
        num_cpus=4,
        include_dashboard=True,
        dashboard_host="127.0.0.1",
        dashboard_port=dashboard_port,
        _metrics_export_port=metrics_port,
        object_store_memory=200_000_000,
        log_to_driver=False,
    )
    print(json.dumps({"ready": True}), flush=True)
    sys.stdin.read()
    ray.shutdown()


if __name__ == "__main__":
    main(sys.argv[1:])

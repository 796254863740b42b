"""Writes the Grafana dashboards of the chart from their panels (dashboard_panels.py).

Run from the repository's root: `python -m helm.generate_dashboards` (--check: writes nothing, fails when a
file is out of date). Knows nothing of Helm.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from helm.dashboard_panels import CAPACITY, REQUESTS, Panel

FOLDER = Path(__file__).parent / "atelier" / "files" / "dashboards"

SCOPE = 'namespace="$namespace",app_kubernetes_io_instance="$release"'
RATE = "[$__rate_interval]"

DASHBOARDS = {
    "atelier-requests": ("Atelier: requests", REQUESTS),
    "atelier-capacity": ("Atelier: capacity", CAPACITY),
}


def dashboard(uid: str, title: str, panels: Sequence[Panel]) -> dict[str, Any]:
    return {
        "uid": uid,
        "title": title,
        "tags": ["atelier"],
        "schemaVersion": 39,
        "editable": False,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {"list": [_datasource(), _variable("namespace"), _variable("release")]},
        "panels": [_panel(number, panel) for number, panel in enumerate(panels)],
    }


def _panel(number: int, panel: Panel) -> dict[str, Any]:
    custom = {"stacking": {"mode": "normal"}, "fillOpacity": 20} if panel.stacked else {}
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": panel.title,
        "description": panel.description,
        "datasource": {"type": "prometheus", "uid": "$datasource"},
        "gridPos": {"x": 12 * (number % 2), "y": 8 * (number // 2), "w": 12, "h": 8},
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0, "custom": custom}, "overrides": []},
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "legendFormat": legend,
                "expr": expression.replace("SCOPE", SCOPE).replace("RATE", RATE),
            }
            for index, (legend, expression) in enumerate(panel.queries)
        ],
    }


def _datasource() -> dict[str, Any]:
    return {"name": "datasource", "type": "datasource", "query": "prometheus", "hide": 0}


def _variable(name: str) -> dict[str, Any]:
    label = {"namespace": "namespace", "release": "app_kubernetes_io_instance"}[name]
    within = "" if name == "namespace" else '{namespace="$namespace"}'
    return {
        "name": name,
        "type": "query",
        "datasource": {"type": "prometheus", "uid": "$datasource"},
        "query": f"label_values(ray_serve_proxy_status{within}, {label})",
        "refresh": 2,
    }


def texts() -> dict[Path, str]:
    return {
        FOLDER / f"{uid}.json": json.dumps(dashboard(uid, title, panels), indent=1) + "\n"
        for uid, (title, panels) in DASHBOARDS.items()
    }


def main(arguments: list[str]) -> int:
    wanted = texts()
    if "--check" in arguments:
        stale = [path for path, text in wanted.items() if not path.is_file() or path.read_text() != text]
        for path in stale:
            print(f"{path} is out of date: run `python -m helm.generate_dashboards`", file=sys.stderr)
        return 1 if stale else 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path, text in wanted.items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

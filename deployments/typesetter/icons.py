"""Icons by name: line drawings of Lucide, bundled. Knows names and paths, no colours or sizes."""

import json
from functools import lru_cache
from pathlib import Path

from deployments import errors

VIEW_BOX = 24
_SYNONYMS = {
    "shopping-cart": "cart",
    "shopping-bag": "bag",
    "present": "gift",
    "tick": "check",
    "checkmark": "check",
    "cross": "x",
    "close": "x",
    "fire": "flame",
    "lightning": "zap",
    "bolt": "zap",
    "warning": "alert",
    "question": "help",
    "location": "map-pin",
    "pin": "map-pin",
    "world": "globe",
    "email": "mail",
    "envelope": "mail",
    "house": "home",
    "like": "thumbs-up",
    "arrow": "arrow-right",
    "medal": "award",
    "cup": "coffee",
    "gear": "settings",
    "magnifier": "search",
    "note": "music",
    "sparkle": "sparkles",
    "time": "clock",
    "dollar-sign": "dollar",
}


@lru_cache(maxsize=1)
def _bodies() -> dict[str, str]:
    content = json.loads(Path(__file__).with_name("icons.json").read_text(encoding="utf-8"))
    return dict(content["icons"])


def icon_names() -> tuple[str, ...]:
    return tuple(_bodies())


def find_icon(name: str) -> str | None:
    """SVG elements in a 24 x 24 box, drawn with `currentColor`; None for a name that is not known."""
    key = name.strip().lower().replace(" ", "-").replace("_", "-")
    return _bodies().get(_SYNONYMS.get(key, key))


def icon_body(name: str) -> str:
    """As `find_icon`; raises InvalidRequest with the choices."""
    body = find_icon(name)
    if body is None:
        raise errors.InvalidRequest(f"unknown icon {name!r}: choose one of {', '.join(icon_names())}", "icon")
    return body

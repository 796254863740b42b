"""Asks a running release for one image and fails unless a real one comes back.

Usage: render_image.py URL PROMPT SIZE TIMEOUT_S [API_KEY_FILE]. Standard library only.
"""

import base64
import json
import struct
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
POLL_S = 2.0


class TestFailed(RuntimeError):
    """What was wrong, in a sentence."""


def wait_until_ready(url: str, deadline_s: float) -> None:
    """Polls /readyz until it answers 200. `deadline_s` is monotonic time."""
    last = "no answer"
    while time.monotonic() < deadline_s:
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=5):
                return
        except urllib.error.HTTPError as error:
            last = f"HTTP {error.code}: {error.read(500).decode(errors='replace')}"
        except OSError as error:
            last = str(error)
        time.sleep(POLL_S)
    raise TestFailed(f"{url}/readyz is not ready: {last}")


def render(url: str, prompt: str, size: str, timeout_s: float, api_key: str | None) -> dict[str, Any]:
    body = {"prompt": prompt, "size": size, "n": 1, "response_format": "b64_json", "output_format": "png"}
    headers = {"content-type": "application/json"}
    if api_key is not None:
        headers["authorization"] = f"Bearer {api_key}"
    request = urllib.request.Request(
        f"{url}/v1/images/generations", json.dumps(body).encode(), headers, method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=timeout_s) as response:
            answer: dict[str, Any] = json.load(response)
            return answer
    except urllib.error.HTTPError as error:
        raise TestFailed(f"HTTP {error.code}: {error.read(2000).decode(errors='replace')}") from None


def check_png(data: bytes, size: str) -> None:
    """Raises TestFailed unless `data` is a PNG of that size."""
    if not data.startswith(PNG_SIGNATURE) or data[12:16] != b"IHDR":
        raise TestFailed(f"the answer is {len(data)} bytes, but not a PNG")
    width, height = struct.unpack(">II", data[16:24])
    if f"{width}x{height}" != size:
        raise TestFailed(f"the image is {width}x{height}, asked for was {size}")


def main(arguments: list[str]) -> int:
    url, prompt, size, timeout_s, *key_file = arguments
    api_key = Path(key_file[0]).read_text().strip() if key_file else None
    try:
        wait_until_ready(url, time.monotonic() + float(timeout_s))
        answer = render(url, prompt, size, float(timeout_s), api_key)
        check_png(base64.b64decode(answer["data"][0]["b64_json"]), size)
    except TestFailed as error:
        print(f"failed: {error}", file=sys.stderr)
        return 1
    print(f"rendered {size}; receipt: {json.dumps(answer.get('atelier', {}))}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

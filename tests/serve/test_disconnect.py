"""A client that goes away, through real HTTP and a real pipeline: its work ends at the next step boundary."""

import json
import socket
import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.serve.painter import Painter

WAIT_S = 30.0
STEPS = 40


class GatedDenoiser:
    """Every call of the pipeline's UNet waits until it is let through, and is counted."""

    def __init__(self, painter: Painter) -> None:
        self.calls = 0
        self._entered, self._let = threading.Semaphore(0), threading.Semaphore(0)
        unet = painter.model._loaded.pipelines.base.unet
        self._forward, unet.forward = unet.forward, self._gated

    def wait_for_call(self) -> None:
        assert self._entered.acquire(timeout=WAIT_S)

    def let(self, calls: int) -> None:
        self._let.release(calls)

    def _gated(self, *arguments: Any, **named: Any) -> Any:
        self.calls += 1
        self._entered.release()
        assert self._let.acquire(timeout=WAIT_S)
        return self._forward(*arguments, **named)


def until(condition: Callable[[], bool]) -> None:
    give_up_s = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < give_up_s
        time.sleep(0)


@pytest.mark.parametrize("stream", [False, True])
def test_after_a_disconnect_no_further_step_begins(
    serve_painter: Callable[..., Painter], stream: bool
) -> None:
    painter = serve_painter()
    denoiser = GatedDenoiser(painter)
    body = json.dumps({"prompt": "a fox", "stream": stream, "atelier": {"steps": STEPS}}).encode()
    head = f"POST /v1/images/generations HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n"
    address = urlsplit(painter.url)
    with socket.create_connection((address.hostname or "", address.port or 0)) as client:
        client.sendall(f"{head}content-type: application/json\r\n\r\n".encode() + body)
        for _ in range(3):
            denoiser.wait_for_call()
            denoiser.let(1)
        denoiser.wait_for_call()  # the fourth is on the device when the client hangs up
    desk = painter.model._loaded.engine._desk
    until(lambda: all(entry.cancelled for entry in list(desk._entries.values())))
    denoiser.let(STEPS)
    until(lambda: len(desk) == 0)
    assert denoiser.calls == 4
    assert painter.model.load_report().running == 0

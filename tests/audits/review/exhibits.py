"""Pictures to judge, and a review of them that listens."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from PIL import Image, ImageDraw

from audits.review.pairing import Exhibit

PALETTE = {"typesetter": "#15705f", "creative": "#9a5200", "composition": "#1d5796"}


def made_up_exhibits(
    folder: Path, variants: tuple[str, ...] = ("typesetter", "creative"), prompts: int = 5
) -> list[Exhibit]:
    """Two asset types by `prompts` prompts by the variants."""
    exhibits = []
    for asset, size in (("ui-badge", (256, 64)), ("poster-title", (192, 256))):
        for number in range(prompts):
            for variant in variants:
                path = folder / f"{asset}-{number}-{variant}.png"
                image = Image.new("RGBA", size, PALETTE[variant])
                ImageDraw.Draw(image).text((20, 20), f"SALE {number}", fill="white", font_size=24)
                image.save(path)
                exhibits.append(
                    Exhibit(
                        path.stem,
                        f"{asset}-{number}",
                        asset,
                        f"a {asset} that says SALE {number}",
                        variant,
                        path,
                    )
                )
    return exhibits


@contextmanager
def listening(app: FastAPI) -> Iterator[str]:
    """The address of the app, served by a thread."""
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning"))
    socket = server.config.bind_socket()
    socket.listen()  # who connects before the thread accepts has to wait, not fail
    thread = threading.Thread(target=server.run, kwargs={"sockets": [socket]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{socket.getsockname()[1]}/"
    finally:
        server.should_exit = True
        thread.join(timeout=30)

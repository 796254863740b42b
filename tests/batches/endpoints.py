"""Endpoints that answer as a test says, and items for them."""

import base64
import json
from collections.abc import Callable
from typing import Any

from batches.exchange import Reply
from batches.items import Item

IMAGE = b"\x89PNG an image"


def item(item_id: str = "a", line: int = 1, **body: Any) -> Item:
    return Item(item_id, line, {"prompt": item_id, **body})


def answer(images: int = 1, **changes: Any) -> Reply:
    data = [{"b64_json": base64.b64encode(IMAGE + bytes([index])).decode()} for index in range(images)]
    receipt = {"model": "echo", "gpu_s": 1.5, "cost_usd": 0.01, "substituted": False}
    document = {"data": data, "output_format": "png", "atelier": receipt, **changes}
    return Reply(200, json.dumps(document).encode())


def error(status: int, code: str, retry_after: str | None = None) -> Reply:
    body = {"error": {"code": code, "message": f"{code}, in words"}}
    return Reply(status, json.dumps(body).encode(), retry_after)


class Scripted:
    """Gives the replies in turn, the last one for ever; an exception is raised."""

    def __init__(self, *replies: Reply | Exception, each: Callable[[Item], None] = lambda item: None) -> None:
        self.replies = list(replies)
        self.sent: list[str] = []
        self._each = each

    async def send(self, item: Item) -> Reply:
        self.sent.append(item.id)
        self._each(item)
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if isinstance(reply, Exception):
            raise reply
        return reply

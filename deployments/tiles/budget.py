"""Bytes that concurrent requests share. Knows nothing of what the bytes are for."""

import asyncio
from collections import deque


class ByteBudget:
    """Grants bytes in the order of asking: a large request is not overtaken for ever by small ones.

    For one event loop; `release` must be called on it.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.used_bytes = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def waiting(self) -> int:
        return sum(not granted.done() for _, granted in self._waiting)

    async def acquire(self, size_bytes: int) -> None:
        """Returns when `size_bytes` are granted. Raises ValueError for more than the whole budget."""
        if size_bytes > self.limit_bytes:
            raise ValueError(f"{size_bytes} bytes exceed the budget of {self.limit_bytes}")
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((size_bytes, granted))
        self._grant()
        try:
            await granted
        except asyncio.CancelledError:
            if granted.done() and not granted.cancelled():
                self.release(size_bytes)
            else:
                granted.cancel()
                self._grant()
            raise

    def release(self, size_bytes: int) -> None:
        self.used_bytes -= size_bytes
        self._grant()

    def _grant(self) -> None:
        while self._waiting:
            size_bytes, granted = self._waiting[0]
            if not granted.done():
                if self.used_bytes + size_bytes > self.limit_bytes:
                    return
                self.used_bytes += size_bytes
                granted.set_result(None)
            self._waiting.popleft()

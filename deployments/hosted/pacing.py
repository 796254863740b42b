"""When the next call to a provider may start: so many a minute, none while the provider says wait.

Counts the calls of one replica. How many are open at once is `max_ongoing_requests`, which callers keep.
Knows nothing of HTTP.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable

from deployments.errors import CapacityRefused

WINDOW_S = 60.0


class Pacing:
    """`now` is monotonic, in seconds."""

    def __init__(
        self, requests_per_minute: int | None = None, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_minute = requests_per_minute
        self._now = now
        self._started: deque[float] = deque(maxlen=requests_per_minute or 0)
        self._paused_until_s = -float("inf")

    async def start(self, patience_s: float) -> None:
        """Waits until a call may start, and counts it. Raises CapacityRefused, with the wait as
        `retry_after_s`, when that is longer than `patience_s`."""
        until_s = self._now() + patience_s
        while (wait_s := self.closed_for_s()) > 0:
            if self._now() + wait_s > until_s:
                raise CapacityRefused("the provider's rate limit is used up", wait_s)
            await asyncio.sleep(wait_s)
        self._started.append(self._now())

    def pause(self, seconds: float) -> None:
        """Nothing starts for so long. A longer pause that is in force stays."""
        self._paused_until_s = max(self._paused_until_s, self._now() + seconds)

    def closed_for_s(self) -> float:
        """0 when a call may start."""
        now_s = self._now()
        wait_s = max(0.0, self._paused_until_s - now_s)
        if self._per_minute is not None and len(self._started) == self._per_minute:
            wait_s = max(wait_s, self._started[0] + WINDOW_S - now_s)
        return wait_s

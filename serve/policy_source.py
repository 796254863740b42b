"""Watches the policy file and offers every new text to the store.

Compares content, not times: a ConfigMap mount swaps a symlink, editors write in several ways, and a
touched file is not a new policy.
"""

import asyncio
import logging
import time
from pathlib import Path

from routing.store import PolicyStore, Refused
from serve.metrics import Observer

logger = logging.getLogger("atelier.policy")


class PolicyFile:
    """A file whose content is the policy."""

    def __init__(self, path: str, interval_s: float) -> None:
        self._path = Path(path)
        self._interval_s = interval_s

    def read(self) -> bytes:
        return self._path.read_bytes()

    async def watch(self, store: PolicyStore, observer: Observer, seen: bytes) -> None:
        """Runs until cancelled. A file that cannot be read leaves the policy in force as it is."""
        unreadable = False
        while True:
            await asyncio.sleep(self._interval_s)
            try:
                text = await asyncio.to_thread(self.read)
            except OSError as error:
                if not unreadable:
                    logger.warning(
                        "policy file cannot be read (%s): keeping the last good one", error.strerror
                    )
                unreadable = True
                continue
            unreadable = False
            if text != seen:
                seen = text
                await asyncio.to_thread(offer, store, text, str(self._path), observer)


def offer(store: PolicyStore, text: str | bytes, source: str, observer: Observer) -> None:
    """Puts `text` in force if it loads; otherwise says why not and changes nothing."""
    result = store.offer(text, source, time.time())
    accepted = not isinstance(result, Refused)
    observer.policy_offered(accepted)
    if accepted:
        logger.info("policy %s in force", store.current.version)
    else:
        logger.error("policy refused, %s stays in force: %s", store.current.version, result)

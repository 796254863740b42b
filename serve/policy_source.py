"""Where the policy comes from: opens the store, and offers it every new text.

Compares contents, not times: a ConfigMap mount swaps a symlink, editors write in several ways, and a
touched file is not a new policy.
"""

import asyncio
import logging
import time
from collections.abc import Mapping
from pathlib import Path

from routing.files import folder_reader
from routing.store import PolicyStore, Refused
from serve.config import AppConfig, ConfigError, model_facts
from serve.metrics import Observer
from serve.rasters import RasterShelf

logger = logging.getLogger("atelier.policy")


def open_store(config: AppConfig, rasters: RasterShelf) -> PolicyStore:
    """The store with the config's policy in force. Raises ConfigError when it cannot be read and
    PolicyError when it does not load, or names a baked asset that does not: there is no last good one yet."""
    source, facts = config.policy, model_facts(config)
    if source.path is None:
        return PolicyStore(facts, source.text or "", "inline policy", time.time(), check=rasters.check)
    try:
        text = Path(source.path).read_bytes()
    except OSError as error:
        raise ConfigError(f"policy file {source.path} cannot be read ({error.strerror})") from None
    read = folder_reader(source.path)
    return PolicyStore(facts, text, source.path, time.time(), read, rasters.check)


def raster_shelf(config: AppConfig) -> RasterShelf:
    """Baked assets lie in the folder that the config names, or beside the policy file."""
    if config.rasters.folder is not None:
        return RasterShelf(Path(config.rasters.folder))
    return RasterShelf(Path(config.policy.path).parent if config.policy.path else Path())


class PolicyWatch:
    """Follows the policy file at `path` and the files it includes."""

    def __init__(self, path: str, interval_s: float, store: PolicyStore, observer: Observer) -> None:
        self._path = path
        self._interval_s = interval_s
        self._store = store
        self._observer = observer
        self._seen = self._contents()
        self._unreadable = False

    async def run(self) -> None:
        """Runs until cancelled. A file that cannot be read leaves the policy in force as it is."""
        while True:
            await asyncio.sleep(self._interval_s)
            await asyncio.to_thread(self.look)

    def look(self) -> None:
        """Offers the text if anything changed since the last look. Blocking."""
        try:
            contents = self._contents()
        except OSError as error:
            if not self._unreadable:
                logger.warning("policy cannot be read (%s): the last good one stays in force", error.strerror)
            self._unreadable = True
            return
        self._unreadable = False
        if contents != self._seen:
            self._seen = contents
            offer(self._store, contents[self._path], self._path, self._observer)

    def _contents(self) -> Mapping[str, bytes]:
        """Of the file and of what the policy in force includes."""
        paths = {self._path, *self._store.current.policy.sources}
        return {path: Path(path).read_bytes() for path in paths}


def offer(store: PolicyStore, text: str | bytes, source: str, observer: Observer) -> None:
    """Puts `text` in force if it loads; otherwise says why not and changes nothing."""
    result = store.offer(text, source, time.time())
    accepted = not isinstance(result, Refused)
    observer.policy_offered(accepted)
    if accepted:
        logger.info("policy %s in force", store.current.version)
    else:
        logger.error("policy refused, %s stays in force: %s", store.current.version, result)

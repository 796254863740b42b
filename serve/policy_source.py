"""Where the policy comes from: opens the store, and offers it every new text.

Compares contents, not times: a ConfigMap mount swaps a symlink, editors write in several ways, and a
touched file is not a new policy.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from routing.store import PolicyStore, Refused
from serve.config import AppConfig, ConfigMapRef, PolicySource, model_facts
from serve.metrics import Observer
from serve.policy_text import PolicyText, config_map_source, from_texts, read_policy
from serve.rasters import RasterShelf
from serve.watch.configmap import ConfigMapSource, Texts

logger = logging.getLogger("atelier.policy")


class Watch(Protocol):
    """Follows a source of policies."""

    async def run(self) -> None:
        """Runs until cancelled. A source that cannot be read leaves the policy in force as it is."""
        ...


def open_store(
    config: AppConfig, rasters: RasterShelf, config_map: ConfigMapSource | None = None
) -> PolicyStore:
    """The store with the config's policy in force; `config_map` as for `read_policy`. Raises ConfigError when
    it cannot be read and PolicyError when it does not load, or names a baked asset that does not: there is
    no last good one yet."""
    first = read_policy(config.policy, config_map)
    return PolicyStore(model_facts(config), first.text, first.source, time.time(), first.read, rasters.check)


def raster_shelf(config: AppConfig) -> RasterShelf:
    """Baked assets lie in the folder that the config names, or beside the policy file."""
    if config.rasters.folder is not None:
        return RasterShelf(Path(config.rasters.folder))
    return RasterShelf(Path(config.policy.file).parent if config.policy.file else Path())


def policy_watch(source: PolicySource, store: PolicyStore, observer: Observer) -> Watch | None:
    """None for a text that cannot change."""
    if source.path is not None:
        return PolicyWatch(source.path, source.reload_interval_s, store, observer)
    if source.config_map is not None:
        return ConfigMapWatch(source.config_map, store, observer)
    return None


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
            offer(self._store, PolicyText(contents[self._path], self._path), self._observer)

    def _contents(self) -> Mapping[str, bytes]:
        """Of the file and of what the policy in force includes."""
        paths = {self._path, *self._store.current.policy.sources}
        return {path: Path(path).read_bytes() for path in paths}


class ConfigMapWatch:
    """Follows the ConfigMap that `ref` names, by a watch of the Kubernetes API in a thread of its own.

    Its first word is what the ConfigMap holds now, so that a router which started with a fallback, or while
    the policy changed, catches up.
    """

    def __init__(
        self,
        ref: ConfigMapRef,
        store: PolicyStore,
        observer: Observer,
        config_map: ConfigMapSource | None = None,
    ) -> None:
        self._ref = ref
        self._store = store
        self._observer = observer
        self._config_map = config_map or config_map_source(ref)

    async def run(self) -> None:
        stop = threading.Event()
        thread = threading.Thread(
            target=self._config_map.run, args=(self.take, stop), name="policy-configmap", daemon=True
        )
        thread.start()
        try:
            await asyncio.Event().wait()
        finally:
            stop.set()

    def take(self, texts: Texts) -> None:
        """Offers the policy among `texts`. Blocking."""
        offer(self._store, from_texts(self._ref, texts), self._observer)


def offer(store: PolicyStore, new: PolicyText, observer: Observer) -> None:
    """Puts the text in force if it loads; otherwise says why not and changes nothing."""
    before = store.current.version
    result = store.offer(new.text, new.source, time.time(), new.read)
    accepted = not isinstance(result, Refused)
    observer.policy_offered(accepted)
    if not accepted:
        logger.error("policy refused, %s stays in force: %s", before, result)
    elif store.current.version != before:
        logger.info("policy %s in force", store.current.version)

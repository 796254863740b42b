"""Watches one ConfigMap through the Kubernetes API and hands on its texts whenever they change.

List, then watch from the list's version; bookmarks move the version on while nothing happens. A version that
the server has forgotten (410 Gone) leads back to a list; a lost connection to a new watch from the last
version. Knows nothing of policies: what a text means, and whether it is any good, is the callback's matter.
Needs list and watch on that ConfigMap.
"""

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

from kubernetes import client as kubernetes_client
from kubernetes import watch as kubernetes_watch

from serve.kubernetes_api import CONNECT_TIMEOUT_S, FAILURES, ClusterError, brief, open_client

logger = logging.getLogger("atelier.watch")

Texts = Mapping[str, str]
OnChange = Callable[[Texts], None]

_FIRST_READ_S = 5.0
_READ_MARGIN_S = 15.0
_SHORT_WATCH_S = 1.0
_STOP_POLL_S = 0.1


class ConfigMapSource:
    """The texts of a ConfigMap by key. One without `key` counts as none.

    `client` is a CoreV1Api; without one the API is opened by the first call. The server ends a watch after
    `watch_timeout_s`. Failures are retried for ever, after a random delay that doubles from `min_backoff_s`
    up to `max_backoff_s`.
    """

    def __init__(
        self,
        namespace: str,
        name: str,
        key: str,
        client: Any = None,
        *,
        watch_timeout_s: int = 300,
        min_backoff_s: float = 0.5,
        max_backoff_s: float = 30.0,
    ) -> None:
        self._namespace = namespace
        self._name = name
        self._key = key
        self._opened = client
        self._watch_timeout_s = watch_timeout_s
        self._min_backoff_s = min_backoff_s
        self._max_backoff_s = max_backoff_s
        self._version: str | None = None
        self._delivered: Texts | None = None
        self._complaint: str | None = None

    def read(self) -> Texts:
        """What the ConfigMap holds now; a `run` after it does not hand that on again. Raises ClusterError."""
        try:
            answer = self._listed(_FIRST_READ_S)
        except FAILURES as error:
            raise ClusterError(f"ConfigMap {self} cannot be read: {brief(error)}") from None
        if not answer.items:
            raise ClusterError(f"ConfigMap {self} does not exist")
        texts = _texts(answer.items[0].data)
        if self._key not in texts:
            raise ClusterError(
                f"ConfigMap {self} has no key {self._key!r}; it has {', '.join(texts) or 'none'}"
            )
        self._delivered = texts
        self._version = str(answer.metadata.resource_version)
        return texts

    def run(self, on_change: OnChange, stop: threading.Event) -> None:
        """Blocks until `stop` is set. Calls `on_change` with the first texts and with each that differ from
        those before. While the ConfigMap or its key is missing nothing is called: the last texts stay
        valid. An exception of `on_change` is logged and the watch goes on.
        """
        failures = 0
        while not stop.is_set():
            seen, began_s = self._version, time.monotonic()
            try:
                if self._version is None:
                    self._list(on_change)
                self._watch(on_change, stop)
            except (*FAILURES, ClusterError) as error:
                if getattr(error, "status", None) == HTTPStatus.GONE:
                    self._version = None
                if not stop.is_set():
                    logger.warning("watch of ConfigMap %s: %s", self, brief(error))
            else:
                if time.monotonic() - began_s >= _SHORT_WATCH_S:
                    continue  # the server ended a watch that had lived: nothing failed
            if self._version not in (None, seen):
                failures = 0  # something was heard since the last failure
            stop.wait(self._backoff_s(failures))
            failures += 1

    def __str__(self) -> str:
        return f"{self._namespace}/{self._name}"

    def _api(self) -> Any:
        if self._opened is None:
            self._opened = kubernetes_client.CoreV1Api(open_client())
        return self._opened

    def _listed(self, read_timeout_s: float) -> Any:
        return self._api().list_namespaced_config_map(
            self._namespace,
            field_selector=f"metadata.name={self._name}",
            _request_timeout=(CONNECT_TIMEOUT_S, read_timeout_s),
        )

    def _list(self, on_change: OnChange) -> None:
        answer = self._listed(_READ_MARGIN_S)
        if answer.items:
            self._deliver(answer.items[0].data, on_change)
        else:
            self._complain("does not exist")
        self._version = str(answer.metadata.resource_version)

    def _watch(self, on_change: OnChange, stop: threading.Event) -> None:
        """Returns when the server or `stop` ends the watch."""
        watch = kubernetes_watch.Watch()
        with _interrupted(watch, stop):
            events = watch.stream(
                self._api().list_namespaced_config_map,
                self._namespace,
                field_selector=f"metadata.name={self._name}",
                resource_version=self._version,
                allow_watch_bookmarks=True,
                timeout_seconds=self._watch_timeout_s,
                _request_timeout=(CONNECT_TIMEOUT_S, self._watch_timeout_s + _READ_MARGIN_S),
            )
            for event in events:
                if event is None or stop.is_set():  # None: half a line, cut off by a lost connection
                    return
                self._handle(event, on_change)
                self._version = str(event["raw_object"]["metadata"]["resourceVersion"])

    def _handle(self, event: Mapping[str, Any], on_change: OnChange) -> None:
        match event["type"]:
            case "ADDED" | "MODIFIED":
                self._deliver(event["raw_object"].get("data"), on_change)
            case "DELETED":
                self._complain("was deleted")

    def _deliver(self, data: Texts | None, on_change: OnChange) -> None:
        texts = _texts(data)
        if self._key not in texts:
            self._complain(f"has no key {self._key!r}")
            return
        self._complaint = None
        if texts == self._delivered:
            return
        self._delivered = texts
        try:
            on_change(texts)
        except Exception:
            logger.exception("ConfigMap %s changed, but could not be applied", self)

    def _complain(self, what: str) -> None:
        """Logs once per state, not once per event."""
        if what != self._complaint:
            self._complaint = what
            logger.warning("ConfigMap %s %s: the last text stays in use", self, what)

    def _backoff_s(self, failures: int) -> float:
        """Random between half and all of a delay that doubles, so that replicas do not return together."""
        ceiling_s = min(self._max_backoff_s, self._min_backoff_s * 2.0 ** min(failures, 30))
        return random.uniform(ceiling_s / 2, ceiling_s)


@contextmanager
def _interrupted(watch: kubernetes_watch.Watch, stop: threading.Event) -> Iterator[None]:
    """Ends `watch` when `stop` is set, although its thread is blocked on a read.

    Asks repeatedly: a stop that comes before the connection stands has nothing to shut down yet.
    """
    done = threading.Event()

    def wait() -> None:
        while not done.is_set():
            if stop.wait(_STOP_POLL_S):
                watch.stop()
                done.wait(_STOP_POLL_S)

    thread = threading.Thread(target=wait, name="configmap-watch-stop", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _texts(data: Texts | None) -> dict[str, str]:
    """An empty ConfigMap has no data at all."""
    return dict(data or {})

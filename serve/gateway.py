"""Puts together what one router process runs: policy store, fleet, dispatcher, HTTP, background tasks.

Needs model clients and a config; does not care whether the models run in Ray or in this process.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from fastapi import FastAPI

from deployments.client import ModelClient
from routing.limits import LimitLedger
from serve.api.batch_files import FILES_PATH, batch_files_router
from serve.api.batches import batches_router
from serve.api.catalog import catalog_router
from serve.api.edits import edits_router
from serve.api.feedback import feedback_router
from serve.api.fleet import fleet_router
from serve.api.health import health_router
from serve.api.images import Desk, images_router
from serve.api.policy import policy_router
from serve.attainment import Attainment
from serve.batches.desk import BatchDesk
from serve.batches.execute import LineExecutor
from serve.config import AppConfig, model_facts
from serve.dispatch import Dispatcher
from serve.files import ImageFiles
from serve.fleet import Fleet
from serve.gates import Gates, GateSize
from serve.http import build_http
from serve.keys import KeyRing
from serve.ledger import Delivered
from serve.metrics import NoObserver, Observer
from serve.peers import AskAll, Peers
from serve.policy_source import open_store, policy_watch, raster_shelf
from serve.process import return_large_buffers, spare_collections
from serve.provenance import Provenance
from serve.reuse import Reuse

logger = logging.getLogger("atelier.gateway")

SWEEP_INTERVAL_S = 300.0
FLUSH_INTERVAL_S = 1.0
BATCH_COUNT_INTERVAL_S = 5.0
FORM_OVERHEAD_BYTES = 16 * 1024


class Gateway:
    """`app` is the ASGI application; its lifespan runs the background tasks."""

    def __init__(
        self,
        config: AppConfig,
        clients: Mapping[str, ModelClient],
        observer: Observer | None = None,
        ask_all: AskAll | None = None,
    ) -> None:
        """`ask_all` reaches every router where there are several. Raises ConfigError or PolicyError if the
        first policy cannot be put in force."""
        self._config = config
        self._clients = clients
        self._observer = Attainment(observer or NoObserver())
        facts = model_facts(config)
        rasters = raster_shelf(config)
        self._policies = open_store(config, rasters)
        gates = Gates({name: GateSize.of(spec) for name, spec in config.models.items()})
        self._fleet = Fleet(facts, _scale_to_zero(config), gates)
        self._files = ImageFiles(config.files.url, config.files.ttl_s)
        delivered, limits = Delivered(), LimitLedger()
        self.peers = Peers(self._fleet, limits, self._policies, delivered, ask_all)
        self.dispatcher = Dispatcher(
            self._policies,
            clients,
            self._fleet,
            rasters,
            config.limits.default_max_latency_ms,
            self._observer,
            delivered,
            limits,
            Reuse(config.cache, facts, self._fleet),
            Provenance.of(config),
        )
        self._batches = self._batch_desk() if config.batches.folder else None
        desk = Desk(self.dispatcher, self._files, config.limits, config.files.public_base_url)
        self.app: FastAPI = build_http(
            [
                images_router(desk),
                edits_router(desk, facts),
                catalog_router(config.models, self._policies),
                policy_router(self._policies),
                fleet_router(self._fleet, self._observer),
                feedback_router(self.peers),
                health_router(self._policies, self._fleet),
                batch_files_router(self._batches),
                batches_router(self._batches, config.files.public_base_url),
            ],
            config.limits,
            KeyRing(config.auth.keys_file) if config.auth.keys_file else None,
            self._lifespan,
            {FILES_PATH: config.batches.max_file_bytes + FORM_OVERHEAD_BYTES},
        )

    def _batch_desk(self) -> BatchDesk:
        keeps_images = not self._config.files.url.startswith("memory:")
        return BatchDesk(self._config.batches, self._batch_executor().run, keeps_images)

    def _batch_executor(self) -> LineExecutor:
        config = self._config
        return LineExecutor(
            self.dispatcher,
            self._policies,
            self._fleet,
            self._files,
            config.limits,
            config.files.public_base_url,
        )

    @contextlib.asynccontextmanager
    async def _lifespan(self, _app: Any) -> AsyncIterator[None]:
        return_large_buffers()
        spare_collections()
        tasks = [
            asyncio.create_task(_forever(self._poll_load, self._config.router.load_poll_interval_s)),
            asyncio.create_task(_forever(self.peers.exchange, self._config.router.load_poll_interval_s)),
            asyncio.create_task(_forever(self._sweep_files, SWEEP_INTERVAL_S)),
            asyncio.create_task(_forever(self._flush_metrics, FLUSH_INTERVAL_S)),
        ]
        watch = policy_watch(self._config.policy, self._policies, self._observer)
        if watch is not None:
            tasks.append(asyncio.create_task(watch.run()))
        if self._batches is not None:
            tasks.append(asyncio.create_task(self._batches.work()))
            tasks.append(asyncio.create_task(_forever(self._count_batch_lines, BATCH_COUNT_INTERVAL_S)))
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, self.dispatcher.shadows.close(), return_exceptions=True)
            if self._batches is not None:
                self._batches.close()

    async def _poll_load(self) -> None:
        await self._fleet.poll(self._clients)

    async def _flush_metrics(self) -> None:
        for model, is_open in self._fleet.distrusted(time.monotonic()).items():
            self._observer.breaker(model, is_open)
        self._observer.flush()

    async def _count_batch_lines(self) -> None:
        assert self._batches is not None
        self._observer.batch_lines_left(await self._batches.lines_left())

    async def _sweep_files(self) -> None:
        await asyncio.to_thread(self._files.remove_expired, time.time())


def _scale_to_zero(config: AppConfig) -> list[str]:
    return [name for name, spec in config.models.items() if spec.autoscaling.min_replicas == 0]


async def _forever(work: Callable[[], Awaitable[None]], interval_s: float) -> None:
    """A failure of one round is logged and does not end the task."""
    while True:
        try:
            await work()
        except Exception:
            logger.exception("background task %s failed; it will be tried again", work.__name__)
        await asyncio.sleep(interval_s)

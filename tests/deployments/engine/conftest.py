"""Engines that are closed after each test."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from deployments.engine.costs import CostModel
from deployments.engine.desk import Desk
from deployments.engine.fakes import FakeDenoiser
from deployments.engine.work import Rules
from tests.deployments.engine.engines import Engine, MakeEngine


@pytest.fixture
def make_engine() -> Iterator[MakeEngine]:
    engines: list[Engine] = []

    def make(
        denoiser: FakeDenoiser,
        max_batch: int = 8,
        rules: Rules | None = None,
        start: bool = True,
        clock: Callable[[], float] = time.monotonic,
        **options: Any,
    ) -> Engine:
        engine = Engine(denoiser, Desk(CostModel(max_batch), rules or Rules()), clock, **options)
        engines.append(engine)
        if start:
            engine.start()
        return engine

    yield make
    for engine in engines:
        engine.close()

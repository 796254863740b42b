"""A gateway whose models are hosted: real HTTP application, policy, replicas and adapters without Ray."""

import contextlib
import io
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import openai
from PIL import Image

from deployments.client import LocalModelClient
from deployments.replica import ModelReplica
from deployments.telemetry import ProcessTelemetry
from serve.gateway import Gateway
from serve.metrics import NoObserver
from serve.schemas import Receipt
from tests.deployments.hosted.ideogram_standin import IdeogramStandIn
from tests.deployments.hosted.openai_standin import OpenAIStandIn
from tests.deployments.hosted.standin import KEY_VARIABLE
from tests.serve.gateways import config, official


def openai_model(api: OpenAIStandIn, model: str, **fields: Any) -> dict[str, Any]:
    of = {"kind": "openai_images", "model": model, "base_url": api.base_url}
    return {**of, "api_key": {"env": KEY_VARIABLE}, **fields}


def ideogram_model(api: IdeogramStandIn, model: str, **fields: Any) -> dict[str, Any]:
    of = {"kind": "ideogram", "model": model, "base_url": api.origin}
    return {**of, "api_key": {"env": KEY_VARIABLE}, **fields}


@dataclass(slots=True)
class Observed(NoObserver):
    receipts: list[Receipt] = field(default_factory=list)
    refusals: list[tuple[str, str]] = field(default_factory=list)
    costs: list[tuple[str, str, float]] = field(default_factory=list)

    def finished(self, receipt: Receipt) -> None:
        self.receipts.append(receipt)

    def refused(self, route: str, outcome: str, total_ms: float, budget_ms: float | None = None) -> None:
        self.refusals.append((route, outcome))

    def spent(self, route: str, model: str, usd: float) -> None:
        self.costs.append((route, model, usd))


@dataclass(slots=True)
class Served:
    gateway: Gateway
    client: openai.AsyncOpenAI
    observed: Observed
    replicas: dict[str, ModelReplica]

    def fleet(self, model: str) -> dict[str, object]:
        return self.gateway._fleet.describe()[model]


@contextlib.asynccontextmanager
async def served(policy: str, models: Mapping[str, Any], **more: Any) -> AsyncIterator[Served]:
    app_config = config(policy, models, **more)
    replicas: dict[str, ModelReplica] = {}
    for name, spec in app_config.models.items():
        replicas[name] = ModelReplica.__new__(ModelReplica)
        await ModelReplica.__init__(replicas[name], name, spec, ProcessTelemetry())  # type: ignore[misc]
    clients = {name: LocalModelClient(name, each.render, each.load_report) for name, each in replicas.items()}
    observed = Observed()
    gateway = Gateway(app_config, clients, observed)
    await gateway._fleet.poll(clients)
    try:
        yield Served(gateway, official(gateway), observed, replicas)
    finally:
        for replica in replicas.values():
            await replica._model.close()


def upload(mode: str) -> bytes:
    """A grey picture; with transparency, one whose left half may change."""
    image = Image.new(mode, (512, 512), (90, 90, 90, 255)[: len(mode)])
    if mode == "RGBA":
        image.paste((0, 0, 0, 0), (0, 0, 256, 512))
    data = io.BytesIO()
    image.save(data, "PNG")
    return data.getvalue()

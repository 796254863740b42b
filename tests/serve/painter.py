"""A tiny real pipeline behind the HTTP application, without Ray."""

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from deployments.client import LocalModelClient
from deployments.diffusion.model import DiffusionModel
from deployments.diffusion.spec import DiffusionSpec
from deployments.diffusion.tiny import build_tiny
from serve.gateway import Gateway
from tests.serve.gateways import config, listening

POLICY = "model_routing: [{pattern: '.*', model: painter}]"


@dataclass(frozen=True, slots=True)
class Painter:
    """`url` of a real server on loopback, and the model behind it."""

    url: str
    model: DiffusionModel
    document: dict[str, Any]


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    return build_tiny("sd", tmp_path_factory.mktemp("weights"))


@pytest.fixture
def serve_painter(weights: Path) -> Iterator[Callable[..., Painter]]:
    """Starts a server with one diffusion model, `painter`."""
    stops: list[Callable[[], object]] = []

    def start(**fields: Any) -> Painter:
        document = {
            "kind": "diffusion",
            "weights": str(weights),
            "default_width": 64,
            "default_height": 64,
            "default_steps": 3,
            **fields,
        }
        model = DiffusionModel("painter", DiffusionSpec.model_validate(document))
        asyncio.run(model.load())
        stops.append(lambda: asyncio.run(model.close()))
        client = LocalModelClient("painter", model.render, model.load_report)
        of = Gateway(config(POLICY, {"painter": document}), {"painter": client})
        asyncio.run(of._poll_load())
        server = listening(of)
        url = server.__enter__()
        stops.append(lambda: server.__exit__(None, None, None))
        return Painter(url, model, document)

    yield start
    for stop in reversed(stops):
        stop()


def post(url: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Status and answer of an image request."""
    request = urllib.request.Request(
        f"{url}/v1/images/generations", json.dumps(body).encode(), {"content-type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)

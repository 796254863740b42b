from collections.abc import AsyncIterator

import pytest

from tests.deployments.hosted.ideogram_standin import IdeogramStandIn
from tests.deployments.hosted.openai_standin import OpenAIStandIn
from tests.deployments.hosted.standin import KEY, running
from tests.serve.hosted.gateways import KEY_VARIABLE


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, KEY)


@pytest.fixture
async def openai_api() -> AsyncIterator[OpenAIStandIn]:
    async with running(OpenAIStandIn()) as standin:
        yield standin


@pytest.fixture
async def ideogram_api() -> AsyncIterator[IdeogramStandIn]:
    async with running(IdeogramStandIn()) as standin:
        yield standin

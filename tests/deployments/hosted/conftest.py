from collections.abc import AsyncIterator

import pytest

from tests.deployments.hosted.ideogram_standin import IdeogramStandIn
from tests.deployments.hosted.openai_standin import OpenAIStandIn
from tests.deployments.hosted.standin import KEY, KEY_VARIABLE, running


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


@pytest.fixture
async def other_server() -> AsyncIterator[OpenAIStandIn]:
    """A server that speaks OpenAI's API and takes more than OpenAI does."""
    async with running(OpenAIStandIn(lenient=True)) as standin:
        yield standin

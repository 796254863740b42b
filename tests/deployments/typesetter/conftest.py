import pytest

from deployments.typesetter.fonts import FontLibrary
from deployments.typesetter.model import TypesetterModel
from deployments.typesetter.spec import TypesetterSpec


@pytest.fixture(scope="session")
def library() -> FontLibrary:
    return FontLibrary()


@pytest.fixture
async def model() -> TypesetterModel:
    typesetter = TypesetterModel("typography", TypesetterSpec(kind="typesetter"))
    await typesetter.load()
    return typesetter

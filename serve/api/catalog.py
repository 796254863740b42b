"""GET /v1/models: what a request may name, in OpenAI's form."""

from collections.abc import Iterable

from fastapi import APIRouter

from routing.store import PolicyStore
from serve.errors import ApiError
from serve.schemas import ModelEntry, ModelList


def catalog_router(models: Iterable[str], policies: PolicyStore) -> APIRouter:
    router = APIRouter(tags=["models"])
    own = tuple(models)

    def names() -> list[str]:
        return ["auto", *own, *(name for name in policies.current.policy.spec.aliases if name not in own)]

    @router.get("/v1/models", summary="List models and aliases")
    async def list_models() -> ModelList:
        return ModelList(data=[ModelEntry(id=name) for name in names()])

    @router.get("/v1/models/{name}", summary="One model")
    async def get_model(name: str) -> ModelEntry:
        if name not in names():
            raise ApiError(404, "model_not_found", f"model {name[:64]!r} does not exist", param="model")
        return ModelEntry(id=name)

    return router

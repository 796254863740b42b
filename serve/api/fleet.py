"""GET /v1/fleet: what this router knows of the models right now."""

from collections.abc import Mapping

from fastapi import APIRouter

from serve.fleet import Fleet


def fleet_router(fleet: Fleet) -> APIRouter:
    router = APIRouter(tags=["fleet"])

    @router.get("/v1/fleet", summary="Replicas, load, learned times and breakers of every model")
    async def models() -> Mapping[str, object]:
        return {"models": fleet.describe()}

    return router

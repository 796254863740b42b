"""GET /v1/fleet: what this router knows of the models right now, and how well budgets were met of late."""

from collections.abc import Mapping

from fastapi import APIRouter

from serve.attainment import WINDOW_S, Attainment
from serve.fleet import Fleet


def fleet_router(fleet: Fleet, attainment: Attainment) -> APIRouter:
    router = APIRouter(tags=["fleet"])

    @router.get("/v1/fleet", summary="Replicas, load, learned times and breakers of every model")
    async def models() -> Mapping[str, object]:
        return {
            "models": fleet.describe(),
            "budgets": {"window_s": WINDOW_S, "routes": attainment.describe()},
            "routers": fleet.routers,
        }

    return router

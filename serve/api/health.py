"""GET /healthz and /readyz."""

from collections.abc import Mapping

from fastapi import APIRouter, Response

from routing.store import PolicyStore
from serve.fleet import Fleet


def health_router(policies: PolicyStore, fleet: Fleet) -> APIRouter:
    router = APIRouter(tags=["health"])

    @router.get("/healthz", summary="The process answers")
    async def healthz() -> Mapping[str, str]:
        return {"status": "alive"}

    @router.get("/readyz", summary="A policy is in force and every model it needs has a replica")
    async def readyz(response: Response) -> Mapping[str, object]:
        current = policies.current
        needed = {name for route in current.policy.all_routes for name in route.models}
        missing = sorted(name for name in needed if not fleet.is_up(name))
        response.status_code = 503 if missing else 200
        return {
            "status": "waiting" if missing else "ready",
            "policy_version": current.version,
            "models_without_replica": missing,
        }

    return router

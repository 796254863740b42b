"""GET /v1/policy: which policy is in force, and what became of the texts offered since."""

from collections.abc import Mapping

from fastapi import APIRouter

from routing.store import PolicyStore


def policy_router(policies: PolicyStore) -> APIRouter:
    router = APIRouter(tags=["policy"])

    @router.get("/v1/policy", summary="The routing policy in force")
    async def policy() -> Mapping[str, object]:
        return policies.describe()

    return router

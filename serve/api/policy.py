"""The policy in force: which it is, what became of the texts offered since, and the way back."""

import asyncio
import time
from collections.abc import Mapping

from fastapi import APIRouter

from routing.store import PolicyStore, UnknownVersion
from serve.errors import ApiError
from serve.schemas import RollbackRequest


def policy_router(policies: PolicyStore) -> APIRouter:
    router = APIRouter(tags=["policy"])

    @router.get("/v1/policy", summary="The routing policy in force")
    async def policy() -> Mapping[str, object]:
        return policies.describe()

    @router.post("/v1/policy/rollback", summary="Put an earlier version in force on every router")
    async def rollback(body: RollbackRequest) -> Mapping[str, object]:
        try:
            await asyncio.to_thread(policies.rollback, body.version, time.time())
        except UnknownVersion as error:
            raise ApiError(404, "unknown_policy_version", str(error), param="version") from None
        return policies.describe()

    return router

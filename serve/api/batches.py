"""/v1/batches: image requests by the file, rendered when there is room for them."""

from typing import Annotated

from fastapi import APIRouter, Query, Request

from serve.api.batch_files import offered
from serve.batches.desk import BatchDesk
from serve.batches.schemas import BatchCreateRequest, BatchList, BatchObject, batch_object


def batches_router(desk: BatchDesk | None, public_base_url: str | None) -> APIRouter:
    router = APIRouter(tags=["batches"])

    @router.post("/v1/batches", summary="Begin a batch")
    async def create(body: BatchCreateRequest, request: Request) -> BatchObject:
        base_url = public_base_url or str(request.base_url).rstrip("/")
        return batch_object(await offered(desk).add_batch(request.state.tenant, body, base_url))

    @router.get("/v1/batches", summary="Your batches, newest first")
    async def list_batches(
        request: Request, after: str | None = None, limit: Annotated[int, Query(ge=1, le=100)] = 20
    ) -> BatchList:
        found = await offered(desk).batches(request.state.tenant, after, limit + 1)
        data = [batch_object(batch) for batch in found[:limit]]
        return BatchList(
            data=data,
            first_id=data[0].id if data else None,
            last_id=data[-1].id if data else None,
            has_more=len(found) > limit,
        )

    @router.get("/v1/batches/{batch_id}", summary="How far a batch is")
    async def retrieve(batch_id: str, request: Request) -> BatchObject:
        return batch_object(await offered(desk).batch(request.state.tenant, batch_id))

    @router.post("/v1/batches/{batch_id}/cancel", summary="Cancel a batch")
    async def cancel(batch_id: str, request: Request) -> BatchObject:
        """What is being rendered is finished; what was is in the result files."""
        return batch_object(await offered(desk).cancel(request.state.tenant, batch_id))

    return router

"""/v1/files: what batches read and what they end with."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import ValidationError
from starlette.datastructures import FormData, UploadFile

from serve.batches.desk import BatchDesk
from serve.batches.schemas import ExpiresAfter, FileDeleted, FileList, FileObject, file_object
from serve.errors import ApiError, bad_request
from serve.forms import read_form

FILES_PATH = "/v1/files"
_FIELDS = frozenset({"file", "purpose", "expires_after[anchor]", "expires_after[seconds]"})
_MULTIPART: Mapping[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file", "purpose"],
                    "additionalProperties": False,
                    "properties": {
                        "file": {"type": "string", "format": "binary"},
                        "purpose": {"type": "string", "enum": ["batch"]},
                        "expires_after[anchor]": {"type": "string", "enum": ["created_at"]},
                        "expires_after[seconds]": {"type": "integer"},
                    },
                }
            }
        },
    }
}


def offered(desk: BatchDesk | None) -> BatchDesk:
    """Raises ApiError where no folder for batches is configured."""
    if desk is None:
        raise ApiError(404, "batches_not_offered", "this server keeps no batches: batches.folder is not set")
    return desk


def batch_files_router(desk: BatchDesk | None) -> APIRouter:
    router = APIRouter(tags=["files"])

    @router.post(FILES_PATH, summary="Upload the input of a batch", openapi_extra=dict(_MULTIPART))
    async def create(request: Request) -> FileObject:
        at = offered(desk)
        async with read_form(request, "file", max_files=1, max_fields=8) as form:
            upload, expires_after = _read_form(form)
            size = upload.size or 0
            if size > at.config.max_file_bytes:
                raise ApiError(413, "file_too_large", f"the file is over {at.config.max_file_bytes} bytes")
            file = await at.add_file(
                request.state.tenant, upload.filename or "", upload.file, size, expires_after
            )
        return file_object(file)

    @router.get(FILES_PATH, summary="Your files, newest first")
    async def list_files(
        request: Request,
        purpose: str | None = None,
        after: str | None = None,
        limit: Annotated[int, Query(ge=1, le=10_000)] = 10_000,
        order: Literal["asc", "desc"] = "desc",
    ) -> FileList:
        found = await offered(desk).files(request.state.tenant, purpose, after, limit + 1, order)
        data = [file_object(file) for file in found[:limit]]
        return FileList(
            data=data,
            first_id=data[0].id if data else None,
            last_id=data[-1].id if data else None,
            has_more=len(found) > limit,
        )

    @router.get(FILES_PATH + "/{file_id}", summary="One of your files")
    async def retrieve(file_id: str, request: Request) -> FileObject:
        return file_object(await offered(desk).file(request.state.tenant, file_id))

    @router.get(
        FILES_PATH + "/{file_id}/content", response_class=StreamingResponse, summary="What is in a file"
    )
    async def content(file_id: str, request: Request) -> StreamingResponse:
        chunks = await offered(desk).content(request.state.tenant, file_id)
        headers = {"x-content-type-options": "nosniff", "content-disposition": "attachment"}
        return StreamingResponse(chunks, media_type="application/jsonl", headers=headers)

    @router.delete(FILES_PATH + "/{file_id}", summary="Delete a file")
    async def delete(file_id: str, request: Request) -> FileDeleted:
        await offered(desk).delete_file(request.state.tenant, file_id)
        return FileDeleted(id=file_id)

    return router


def _read_form(form: FormData) -> tuple[UploadFile, ExpiresAfter | None]:
    unknown = sorted(set(form) - _FIELDS)
    if unknown:
        raise bad_request("unknown_parameter", f"unknown parameter {unknown[0][:64]!r}", unknown[0][:64])
    upload = form.get("file")
    if not isinstance(upload, UploadFile):
        raise bad_request("missing_parameter", "'file' is required: send it as multipart/form-data", "file")
    purpose = form.get("purpose")
    if purpose is None:
        raise bad_request("missing_parameter", "'purpose' is required", "purpose")
    if purpose != "batch":
        raise bad_request("invalid_parameter", "purpose must be batch: files are for batches here", "purpose")
    return upload, _expires_after(form)


def _expires_after(form: FormData) -> ExpiresAfter | None:
    given = {
        name: form[f"expires_after[{name}]"]
        for name in ("anchor", "seconds")
        if f"expires_after[{name}]" in form
    }
    if not given:
        return None
    try:
        return ExpiresAfter.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        param = f"expires_after.{first['loc'][0]}"
        raise bad_request("invalid_parameter", f"{param}: {first['msg']}", param) from None

"""POST /v1/images/edits and /v1/images/variations: a request that comes with a picture.

Multipart, as the official client sends it: nested options as `atelier[seed]`, or `atelier` as one JSON
object. The rest is what /v1/images/generations does.
"""

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.datastructures import FormData, UploadFile

from deployments.errors import InvalidRequest
from deployments.types import Mask, Pixels
from deployments.uploads import decode_pair
from routing.types import Capability, ModelFacts
from serve.api.images import ERRORS, Desk
from serve.errors import bad_request
from serve.forms import read_form
from serve.jobs import ImageJob
from serve.schemas import (
    ImageEditRequest,
    ImageGenerationRequest,
    ImagesResponse,
    ImageVariationRequest,
)

_NESTED = re.compile(r"atelier((?:\[[A-Za-z0-9_.-]{1,64}\]){1,3})")
_CHANGES = (Capability.EDIT, Capability.UPSCALE, Capability.DENOISE)
MAX_FILES, MAX_FIELDS = 4, 64


def edits_router(desk: Desk, facts: Mapping[str, ModelFacts]) -> APIRouter:
    """`facts` say what a model that is asked for by name does to a picture."""
    router = APIRouter(tags=["images"])

    @router.post(
        "/v1/images/edits",
        response_model=ImagesResponse,
        responses=ERRORS,
        summary="Change an image",
        openapi_extra=_multipart("image", "prompt"),
    )
    async def edit(request: Request) -> Response:
        fields, files = await _read(request)
        body = _checked(ImageEditRequest, fields)
        job = desk.job(body, request)
        image, mask = await _decoded(files)
        return await desk.answer(request, body, _with_picture(job, image, mask, facts), "image_edit")

    @router.post(
        "/v1/images/variations",
        response_model=ImagesResponse,
        responses=ERRORS,
        summary="Another image like this one",
        openapi_extra=_multipart("image"),
    )
    async def vary(request: Request) -> Response:
        fields, files = await _read(request)
        if "mask" in files:
            raise bad_request("unknown_parameter", "a variation takes no mask: use /v1/images/edits", "mask")
        body = _checked(ImageVariationRequest, fields)
        job = desk.job(body, request)
        image, _ = await _decoded(files)
        return await desk.answer(request, body, _with_picture(job, image, None, facts), "image_edit")

    return router


def _with_picture(
    job: ImageJob, image: Pixels, mask: Mask | None, facts: Mapping[str, ModelFacts]
) -> ImageJob:
    """A model asked for by name does what it can do: an upscaler enlarges, a denoiser cleans."""
    height, width = image.shape[:2]
    named = facts.get(job.asset.model)
    able = () if named is None else tuple(each for each in _CHANGES if each in named.capabilities)
    needs = able[0] if able else Capability.EDIT
    asset = replace(job.asset, needs=needs, input_width=width, input_height=height)
    return replace(job, asset=asset, image=image, mask=mask)


async def _read(request: Request) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Fields, and what the files `image` and `mask` hold. Raises ApiError naming what is wrong."""
    async with read_form(request, "image", MAX_FILES, MAX_FIELDS) as form:
        fields, files = _split(form)
        if "image" not in files:
            raise bad_request("missing_parameter", "'image' is required: the picture's file", "image")
        return fields, {name: await upload.read() for name, upload in files.items()}


async def _decoded(files: Mapping[str, bytes]) -> tuple[Pixels, Mask | None]:
    """Off the event loop. Raises ApiError naming the file that is no sound picture."""
    try:
        return await asyncio.to_thread(decode_pair, files["image"], files.get("mask"))
    except InvalidRequest as error:
        raise bad_request("invalid_image", error.message, error.param) from None


def _split(form: FormData) -> tuple[dict[str, Any], dict[str, UploadFile]]:
    fields: dict[str, Any] = {}
    files: dict[str, UploadFile] = {}
    for name, value in form.multi_items():
        plain = name.removesuffix("[]")
        if isinstance(value, UploadFile):
            if plain not in ("image", "mask"):
                raise bad_request("unknown_parameter", f"unknown file {plain[:64]!r}", plain[:64])
            if plain in files:
                raise bad_request("invalid_parameter", f"one {plain} at a time is changed here", plain)
            files[plain] = value
        elif name in fields:
            raise bad_request("invalid_parameter", f"{name[:64]!r} is given twice", name[:64])
        elif plain in ("image", "mask"):
            raise bad_request("invalid_parameter", f"{plain} is text: send the picture as a file", plain)
        else:
            _put(fields, name, value)
    return fields, files


def _put(fields: dict[str, Any], name: str, value: str) -> None:
    nested = _NESTED.fullmatch(name)
    if name == "atelier":
        try:
            fields[name] = json.loads(value)
        except (ValueError, RecursionError):
            raise bad_request("invalid_parameter", "atelier is not a JSON object", "atelier") from None
        return
    if nested is None:
        fields[name] = value
        return
    *path, last = re.findall(r"\[([^\]]+)\]", nested[1])
    at = fields.setdefault("atelier", {})
    for key in path:
        at = at.setdefault(key, {}) if isinstance(at, dict) else None
    if not isinstance(at, dict) or last in at:
        raise bad_request("invalid_parameter", f"{name!r} is given twice", "atelier")
    at[last] = value


Body = TypeVar("Body", bound=ImageGenerationRequest)


def _checked(model: type[Body], fields: Mapping[str, Any]) -> Body:
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        raise RequestValidationError(error.errors()) from None


def _multipart(*required: str) -> dict[str, Any]:
    text, file = {"type": "string"}, {"type": "string", "format": "binary"}
    schema = {
        "type": "object",
        "required": list(required),
        "properties": {"image": file, "mask": file, "prompt": text, "model": text, "size": text},
    }
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}
